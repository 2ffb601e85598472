/** Run the cases of graph_cases.json on the TypeScript conformance graphs; print what each turn came to, as JSON. */

import { readFile } from "node:fs/promises";
import { pathToFileURL } from "node:url";

import { isBaseMessage } from "@langchain/core/messages";
import { Command, InMemoryStore, MemorySaver } from "@langchain/langgraph";

const read = async (path: string) => JSON.parse(await readFile(path, "utf-8"));
const places: Record<string, string> = (await read("langgraph.json")).graphs;

function told(value: any): any {
  if (isBaseMessage(value)) {
    const { type, content, name, tool_call_id, tool_calls } = value as any;
    const calls = (tool_calls ?? []).map(({ name, args, id }: any) => ({ name, args, id }));
    return { type, content, name: name ?? null, tool_call_id: tool_call_id ?? null, tool_calls: calls };
  }
  if (Array.isArray(value)) return value.map(told);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, member]) => [key, told(member)]));
}

async function load(id: string) {
  const [file, name] = places[id]!.split(":");
  return (await import(pathToFileURL(file!).href))[name!];
}

async function play(which: any) {
  const graph = await load(which.graph);
  if (graph.checkpointer || graph.store) throw new Error(`${which.graph} brings a checkpointer or a store`);
  const store = new InMemoryStore();
  const outcomes: any[] = [];
  const savers: Record<string, MemorySaver> = {};
  try {
    for (const turn of which.turns) {
      graph.store = store;
      graph.checkpointer = savers[turn.thread ?? ""] ??= new MemorySaver();
      const thread = { configurable: { thread_id: turn.thread ?? "only" } };
      const open = async () => (await graph.getState(thread)).tasks.flatMap((task: any) => task.interrupts ?? []);
      let given = turn.input ?? null;
      if ("resume" in turn) given = new Command({ resume: turn.resume });
      if (turn.resume_by_side) {
        const answers = (await open()).map(({ id, value }: any) => [id, turn.resume_by_side[value.side]]);
        given = new Command({ resume: Object.fromEntries(answers) });
      }
      const outcome: any = { nodes: [], custom: [], error: null };
      try {
        const stream = await graph.stream(given, {
          configurable: { ...thread.configurable, ...turn.configurable },
          context: turn.context,
          interruptBefore: turn.interrupt_before,
          interruptAfter: turn.interrupt_after,
          streamMode: ["updates", "custom"],
        });
        for await (const [mode, part] of stream) {
          if (mode === "custom") outcome.custom.push(told(part));
          else outcome.nodes.push(...Object.keys(part).filter((node) => node !== "__interrupt__"));
        }
      } catch (error: any) {
        outcome.error = { class: error.name, text: error.message };
      }
      outcome.values = told((await graph.getState(thread)).values);
      outcome.interrupts = (await open()).map(({ value }: any) => value);
      outcomes.push(outcome);
    }
  } finally {
    graph.checkpointer = graph.store = undefined; // two ids may share a graph
  }
  return outcomes;
}

const outcomes: Record<string, any> = {};
for (const which of await read(process.argv[2]!)) outcomes[which.name] = await play(which);
console.log(JSON.stringify(outcomes));
