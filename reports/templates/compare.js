// Filters, cells that unfold all sides of a requirement, and differences that unfold both exchanges.
// Whatever came from a target is set as text; nothing here writes HTML.
"use strict";
(() => {
  const proof = JSON.parse(document.getElementById("proof").textContent);
  const { make, foldedExchange } = exchangeView; // of exchanges.js
  const byId = (id) => document.getElementById(id);
  const all = (selector, root = document) => [...root.querySelectorAll(selector)];
  const lines = all(".line");
  const only = byId("only");
  const search = byId("search");
  const chips = all(".chip");
  const VERDICTS = { kept: "pass", broken: "fail", warned: "warn" };
  const badge = (standing) =>
    make("span", { class: `badge v-${VERDICTS[standing] || standing}`, text: standing.replace("-", " ") });

  // --- what a side shows ------------------------------------------------------------------------------

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
    if (told.case) place.append(make("h4", {}, badge(standingOf(told.verdict)), make("span", { text: told.case })));
    if (told.reason) place.append(make("p", { class: "reason", text: told.reason }));
    place.append(...(told.curl || []).map(curl), ...(told.exchanges || []).map((key) => exchange(side, key)));
    return place;
  }

  const standingOf = (verdict) => ({ pass: "kept", fail: "broken", warn: "warned" })[verdict] || verdict;

  function drawnSide(side, stand, looked) {
    const name = make("span", { text: proof.targets[side] });
    const place = make("section", looked ? { class: "looked" } : {}, make("h4", {}, name, badge(stand.standing)));
    const cases = stand.cases || [];
    place.append(...cases.map((told) => drawnCase(side, told)));
    if (stand.further_cases) {
      place.append(make("p", { class: "hint", text: `and ${stand.further_cases} more cases in its report.json` }));
    }
    if (!cases.length) place.append(make("p", { class: "hint", text: "No case was judged." }));
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
    const stands = proof.rows[line.id].map((stand, side) => drawnSide(side, stand, side === Number(button.dataset.side)));
    detail.append(make("div", { class: "both" }, ...stands));
  }

  // --- differences of traces --------------------------------------------------------------------------

  function oneSide(pair, number, difference) {
    const side = pair.sides[number];
    const place = make("section", {}, make("h4", { text: proof.targets[side] }));
    const value = number ? difference.right : difference.left;
    const shown = value === null || value === undefined ? "nothing" : value;
    place.append(make("pre", { tabindex: "0" }, make("code", { text: shown })));
    const key = difference.exchanges[number];
    place.append(key ? exchange(side, key) : make("p", { class: "hint", text: "There is no such exchange." }));
    return place;
  }

  function place(difference) {
    const numbers = (difference.events || []).filter((number) => number !== null && number !== undefined);
    const event = difference.event ? `, event ${[...new Set(numbers)].join("/")} (${difference.event})` : "";
    return `${difference.what}${event}${difference.path ? `, ${difference.path}` : ""}`;
  }

  function drawDifference(pair, title, difference) {
    const sides = [0, 1].map((number) => oneSide(pair, number, difference));
    const words = make("p", { class: "hint", text: `${title}: ${place(difference)}` });
    return make("div", {}, words, make("div", { class: "both" }, ...sides));
  }

  for (const section of all(".pairing")) {
    const pair = proof.pairs[Number(section.dataset.pair)];
    for (const item of all(".unlike", section)) {
      const detail = item.querySelector(".detail");
      item.addEventListener("toggle", () => {
        if (!item.open || detail.hasChildNodes()) return;
        const told = pair.scenarios[item.id.slice(item.id.indexOf("-") + 1)];
        detail.append(drawDifference(pair, "The first difference", told.first));
        if (JSON.stringify(told.first) !== JSON.stringify(told.telling)) {
          detail.append(drawDifference(pair, "The first one that few other scenarios share", told.telling));
        }
      });
    }
  }

  // --- filters ----------------------------------------------------------------------------------------

  const haystacks = new Map(
    lines.map((line) => {
      const reasons = proof.rows[line.id].flatMap((stand) => (stand.cases || []).map((told) => told.reason));
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
    if (found.matches("details")) found.open = true;
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

  searchablePage.keepClearOf(document.querySelector(".pinned")); // of page.js

  byId("filters").hidden = false;
  apply();
  show();
})();
