"""Start, await and stop a known server.

A recipe is a YAML file that says how; those built in lie in fixtures/targets. Each server gets a free
port and a temporary working folder of its own, because servers keep state where they run, and a process group
of its own; so do the databases that it needs. All groups are gone when the block is left, whichever way,
kill -9 included. POSIX only.
"""

from runstone.target.recipes.install import interpreter, is_installed, node_modules
from runstone.target.recipes.ports import HOST
from runstone.target.recipes.recipe import (
    BadRecipe,
    Install,
    InstallFailed,
    Lack,
    MoreRuns,
    PortTaken,
    Ready,
    Recipe,
    RecipeError,
    StartFailed,
    StopFailed,
    UnknownRecipe,
    UnknownVersion,
    is_recipe,
    load,
    more_runs,
    names,
    waivers_of,
)
from runstone.target.recipes.serving import Running, Server, lacks, running, server, starting, stay_up

__all__ = [
    "HOST",
    "BadRecipe",
    "Install",
    "InstallFailed",
    "Lack",
    "MoreRuns",
    "PortTaken",
    "Ready",
    "Recipe",
    "RecipeError",
    "Running",
    "Server",
    "StartFailed",
    "StopFailed",
    "UnknownRecipe",
    "UnknownVersion",
    "interpreter",
    "is_installed",
    "is_recipe",
    "lacks",
    "load",
    "more_runs",
    "names",
    "node_modules",
    "running",
    "server",
    "starting",
    "stay_up",
    "waivers_of",
]
