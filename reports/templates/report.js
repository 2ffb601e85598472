// Filters, links between parts of the page, and exchanges drawn when they are first unfolded.
// Whatever came from a target is set as text; nothing here writes HTML.
"use strict";
(() => {
  const proof = JSON.parse(document.getElementById("proof").textContent);
  const byId = (id) => document.getElementById(id);
  const all = (selector, root = document) => [...root.querySelectorAll(selector)];
  const requirements = all("details.requirement");
  const chips = all(".chip");
  const search = byId("search");
  const area = byId("area");
  const haystacks = new Map(
    requirements.map((item) => {
      const words = all("summary, .source, .waiver, .reason, .case h4", item).map((part) => part.textContent);
      return [item, words.join(" ").toLowerCase()];
    }),
  );

  const { make, foldedExchange } = exchangeView; // of exchanges.js

  const FIRST_SHOWN = 30;

  function drawCase(place, [numbers, leftOut]) {
    const heading = make("h5", { text: "Judged on" });
    const note = leftOut ? make("p", { class: "hint", text: `and ${leftOut} more in the evidence folder` }) : null;
    // What was observed again bears the scenario's name and @2: both recordings are shown apart.
    const again = (number) => proof.exchanges[number].key.split("#")[0].endsWith("@2");
    const both = numbers.some(again) && !numbers.every(again);
    const draw = (part) =>
      part.flatMap((number, at) => {
        const turned = both && (part === numbers || at) && at === numbers.findIndex(again);
        return [
          ...(turned ? [make("h5", { text: "Judged on when it was observed again" })] : []),
          foldedExchange(proof.exchanges[number]),
        ];
      });
    place.replaceChildren(heading, ...draw(numbers.slice(0, FIRST_SHOWN)));
    if (numbers.length > FIRST_SHOWN) {
      const more = make("button", {
        type: "button",
        class: "plain",
        text: `Show ${numbers.length - FIRST_SHOWN} more`,
      });
      more.addEventListener("click", () => more.replaceWith(...draw(numbers.slice(FIRST_SHOWN))));
      place.append(more);
    }
    if (note) place.append(note);
  }

  for (const item of requirements) {
    let drawn = false;
    item.addEventListener("toggle", () => {
      if (!item.open || drawn) return;
      drawn = true;
      for (const place of all(".exchanges", item)) {
        drawCase(place, proof.cases[item.id][Number(place.dataset.case)]);
      }
    });
  }

  // --- filters, mirrored in the address ---------------------------------------------------------------

  const pressed = (name) =>
    chips
      .filter((chip) => chip.dataset.filter === name && chip.getAttribute("aria-pressed") === "true")
      .map((chip) => chip.dataset.value);

  function filtersInAddress() {
    const chosen = { verdict: pressed("verdict"), level: pressed("level"), area: [area.value], q: [search.value.trim()] };
    return Object.entries(chosen)
      .map(([name, values]) => [name, values.filter(Boolean).map(encodeURIComponent).join(",")])
      .filter(([, value]) => value)
      .map((pair) => pair.join("="))
      .join("&");
  }

  function apply() {
    const verdicts = pressed("verdict");
    const levels = pressed("level");
    const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    let count = 0;
    for (const section of all("section.area")) {
      let inArea = 0;
      for (const item of all("details.requirement", section)) {
        const fits =
          (!verdicts.length || verdicts.includes(item.dataset.verdict)) &&
          (!levels.length || levels.includes(item.dataset.level)) &&
          (!area.value || area.value === section.dataset.area) &&
          words.every((word) => haystacks.get(item).includes(word));
        item.hidden = !fits;
        inArea += fits;
      }
      section.hidden = !inArea;
      count += inArea;
    }
    byId("shown").textContent = `${count} of ${requirements.length} shown`;
    byId("nothing").hidden = count > 0 || !requirements.length;
  }

  function remember() {
    const filters = filtersInAddress();
    // An empty fragment would scroll to the top; the bare address does not.
    history.replaceState(null, "", filters ? `#${filters}` : location.pathname + location.search);
  }

  function change() {
    apply();
    remember();
  }

  function clear() {
    for (const chip of chips) chip.setAttribute("aria-pressed", "false");
    area.value = "";
    search.value = "";
  }

  function decoded(text) {
    try {
      return decodeURIComponent(text);
    } catch {
      return text; // an address typed by hand: take it as it is
    }
  }

  function show(id) {
    const found = byId(id);
    if (!found || !found.matches("details.requirement, section.area, main *")) return;
    if (found.hidden) {
      clear();
      apply();
    }
    if (found.matches("details.requirement")) {
      found.open = true;
      found.querySelector("summary").focus({ preventScroll: true });
    }
    found.scrollIntoView({ block: "start" });
  }

  function readAddress() {
    const fragment = location.hash.slice(1);
    if (fragment && !fragment.includes("=")) {
      show(decoded(fragment));
      return;
    }
    clear();
    for (const pair of fragment.split("&")) {
      const [name, value = ""] = pair.split("=");
      const values = value.split(",").map(decoded);
      if (name === "q") search.value = decoded(value);
      else if (name === "area") area.value = values[0];
      else {
        for (const chip of chips) {
          if (chip.dataset.filter === name && values.includes(chip.dataset.value)) {
            chip.setAttribute("aria-pressed", "true");
          }
        }
      }
    }
    apply();
  }

  for (const chip of chips) {
    chip.addEventListener("click", () => {
      chip.setAttribute("aria-pressed", String(chip.getAttribute("aria-pressed") !== "true"));
      change();
    });
  }
  search.addEventListener("input", change);
  area.addEventListener("change", change);
  byId("filters").addEventListener("submit", (event) => event.preventDefault());
  byId("reset").addEventListener("click", (event) => {
    event.preventDefault();
    clear();
    change();
  });
  addEventListener("hashchange", readAddress);

  // --- printing ---------------------------------------------------------------------------------------

  let openedForPrint = [];
  addEventListener("beforeprint", () => {
    const telling = ["harness-error", "fail", "flaky", "not-testable", "warn", "waived"];
    openedForPrint = requirements.filter((item) => !item.open && telling.includes(item.dataset.verdict));
    for (const item of openedForPrint) item.open = true;
  });
  addEventListener("afterprint", () => {
    for (const item of openedForPrint) item.open = false;
  });

  searchablePage.keepClearOf(byId("filters")); // of page.js

  byId("filters").hidden = false;
  apply();
  readAddress();
})();
