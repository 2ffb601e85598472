// Draws the requirements by area; filters, cells that unfold all sides of a requirement, and differences that unfold an example.
// Whatever came from a target is set as text; nothing here writes HTML.
"use strict";
(async () => {
  const proof = await searchablePage.packed("proof"); // of page.js
  const { make, foldedExchange } = exchangeView; // of exchanges.js
  const byId = (id) => document.getElementById(id);
  const all = (selector, root = document) => [...root.querySelectorAll(selector)];
  const only = byId("only");
  const search = byId("search");
  const chips = all(".chip");
  const badge = (verdict) => make("span", { class: `badge v-${verdict}`, text: proof.words[verdict] });

  // --- rows -------------------------------------------------------------------------------------------

  const rows = new Map(proof.areas.flatMap((area) => area.rows.map((row) => [row.id, row])));

  function drawnCell(row, { verdict }, side) {
    const options = {
      type: "button",
      class: `stand badge v-${verdict}`,
      "data-side": side,
      "aria-expanded": "false",
      "aria-label": `${row.id}, ${proof.targets[side]}: ${proof.words[verdict]}`,
      text: proof.words[verdict],
    };
    const told = row.stands.some((stand) => stand.cases.length);
    const name = make("span", { class: "who-small", text: proof.targets[side] });
    return make("div", { class: "side" }, name, told ? make("button", options) : badge(verdict));
  }

  function drawnRow(row) {
    const parts = row.statement.split(/`([^`]+)`/); // every second one is code
    const statement = parts.map((text, place) => (place % 2 ? make("code", { text }) : text));
    const promise = make(
      "div",
      { class: "promise" },
      make("span", { class: "id", text: row.id }),
      " ",
      make("span", { class: "level", text: row.level }),
      " ",
      row.differs ? make("span", { class: "mark", text: "differs" }) : null,
      make("span", { class: "statement" }, ...statement),
    );
    const options = {
      class: ["line", row.differs && "differs", row.split && "split"].filter(Boolean).join(" "),
      id: row.id,
      "data-level": row.level,
    };
    const cells = row.stands.map((stand, side) => drawnCell(row, stand, side));
    return make("div", options, promise, ...cells, make("div", { class: "detail", hidden: "" }));
  }

  function drawnArea({ name, rows }) {
    const differing = rows.filter((row) => row.differs).length;
    const head = make("h3", {}, `${name} `, make("small", { text: `${differing} of ${rows.length} differ` }));
    return make("section", { class: "area", "data-area": name }, head, ...rows.map(drawnRow));
  }

  byId("requirements").append(...proof.areas.map(drawnArea));
  const lines = all(".line");

  // --- what a side shows ------------------------------------------------------------------------------

  const SIDE_BY_SIDE = 3; // as many stand in their order

  function exchange(side, key) {
    const known = proof.exchanges[side][key];
    return known ? foldedExchange(known) : make("p", { class: "hint", text: `${key} is in the evidence folder` });
  }

  function curl(line) {
    const code = make("pre", { tabindex: "0" }, make("code", { text: line }));
    return make("div", { class: "curl" }, code, make("button", { type: "button", class: "copy", text: "Copy" }));
  }

  function drawnCase(side, told) {
    const place = make("div", { class: "case" });
    if (told.case) place.append(make("h4", {}, badge(told.verdict), make("span", { text: told.case })));
    if (told.reason) place.append(make("p", { class: "reason", text: told.reason }));
    place.append(...told.curl.map(curl), ...told.exchanges.map((key) => exchange(side, key)));
    return place;
  }

  function drawnSide(side, stand, looked) {
    const name = make("span", { text: proof.targets[side] });
    const place = make("section", looked ? { class: "looked" } : {}, make("h4", {}, name, badge(stand.verdict)));
    place.append(...stand.cases.map((told) => drawnCase(side, told)));
    if (stand.further_cases) {
      place.append(make("p", { class: "hint", text: `and ${stand.further_cases} more cases in its report.json` }));
    }
    if (!stand.cases.length) place.append(make("p", { class: "hint", text: "No case was judged." }));
    return place;
  }

  function unfold(line, button) {
    const detail = line.querySelector(".detail");
    const open = button.getAttribute("aria-expanded") === "true";
    for (const other of all(".stand", line)) other.setAttribute("aria-expanded", "false");
    detail.hidden = open;
    detail.replaceChildren();
    if (open) return;
    button.setAttribute("aria-expanded", "true");
    const looked = Number(button.dataset.side);
    const stands = rows.get(line.id).stands.map((stand, side) => drawnSide(side, stand, side === looked));
    if (stands.length > SIDE_BY_SIDE) stands.unshift(...stands.splice(looked, 1)); // many: the one that was asked for
    detail.append(make("div", { class: "both" }, ...stands));
  }

  // --- the example of a difference --------------------------------------------------------------------

  const NAMED = 12; // scenarios

  function sideOfExample(side, key) {
    const shown = key ? exchange(side, key) : make("p", { class: "hint", text: "It was not asked this." });
    shown.open = true;
    return make("section", {}, make("h4", { text: proof.targets[side] }), shown);
  }

  function drawnExample(pair, { example, scenarios }) {
    const sides = pair.sides.map((side, number) => sideOfExample(side, example.exchanges[number]));
    const more = scenarios.length > NAMED ? ` and ${scenarios.length - NAMED} more` : "";
    const at = example.path ? `At ${example.path}. ` : "";
    const told = make("p", { class: "hint", text: `${at}Shown by ${scenarios.slice(0, NAMED).join(", ")}${more}.` });
    return [make("div", { class: "both" }, ...sides), told];
  }

  for (const section of all(".pairing")) {
    const pair = proof.pairs[Number(section.dataset.pair)];
    all(".unlike", section).forEach((item, number) => {
      const detail = item.querySelector(".detail");
      item.addEventListener("toggle", () => {
        if (item.open && !detail.hasChildNodes()) detail.append(...drawnExample(pair, pair.lines[number]));
      });
    });
  }

  // --- filters ----------------------------------------------------------------------------------------

  const haystacks = new Map(
    lines.map((line) => {
      const reasons = rows.get(line.id).stands.flatMap((stand) => stand.cases.map((told) => told.reason));
      return [line, [line.textContent, ...reasons].join(" ").toLowerCase()];
    }),
  );

  function apply() {
    const levels = chips.filter((chip) => chip.getAttribute("aria-pressed") === "true").map((chip) => chip.dataset.value);
    const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    let count = 0;
    for (const area of all("section.area")) {
      let inArea = 0;
      for (const line of all(".line", area)) {
        const fits =
          (!only.checked || line.classList.contains("differs")) &&
          (!levels.length || levels.includes(line.dataset.level)) &&
          words.every((word) => haystacks.get(line).includes(word));
        line.hidden = !fits;
        inArea += fits;
      }
      area.hidden = !inArea;
      count += inArea;
    }
    byId("shown").textContent = `${count} of ${lines.length} shown`;
    byId("nothing").hidden = count > 0;
  }

  function showAll() {
    only.checked = false;
    search.value = "";
    for (const chip of chips) chip.setAttribute("aria-pressed", "false");
    apply();
  }

  function show() {
    const found = byId(decodeURIComponent(location.hash.slice(1)));
    if (!found) return;
    if (found.hidden) showAll();
    found.scrollIntoView({ block: "start" });
  }

  for (const chip of chips) {
    chip.addEventListener("click", () => {
      chip.setAttribute("aria-pressed", String(chip.getAttribute("aria-pressed") !== "true"));
      apply();
    });
  }
  only.addEventListener("change", apply);
  search.addEventListener("input", apply);
  byId("filters").addEventListener("submit", (event) => event.preventDefault());
  byId("all").addEventListener("click", showAll);
  addEventListener("hashchange", show);

  document.addEventListener("click", (event) => {
    if (event.target.matches(".stand")) unfold(event.target.closest(".line"), event.target);
  });

  byId("pinned").hidden = false;
  searchablePage.keepClearOf(byId("pinned")); // of page.js
  apply();
  if (location.hash) location.replace(location.hash); // the row that it names was not there when the page was opened
  show();
})();
