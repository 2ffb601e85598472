"use strict";
// Draws the matrix of the area that is chosen, and tells of the cell that is clicked. It sets text, never markup.
(async () => {
  const data = await searchablePage.packed("data"); // of page.js
  const place = document.getElementById("matrix");
  const told = document.getElementById("cell");
  const area = document.getElementById("area");
  const search = document.getElementById("search");
  const SIGNS = { fail: "F", warn: "w", "not-testable": "t", "harness-error": "E", missed: "×" };
  const requirements = new Map(data.requirements.map((each) => [each.id, each]));

  const make = (tag, name, text) => {
    const made = document.createElement(tag);
    if (name) made.className = name;
    if (text !== undefined) made.textContent = text;
    return made;
  };

  for (const name of data.areas) area.append(new Option(name, name));
  document.getElementById("tools").hidden = false;

  // id → what the fault did to it; a requirement that it names and that did not fall is in it too.
  const cellsOf = (fault) => {
    const cells = new Map(fault.hits.map((hit) => [hit.id, { sign: hit.verdict, reason: hit.reason }]));
    for (const { id, why } of fault.missed) {
      if (!cells.has(id)) cells.set(id, { sign: "missed", reason: fault.trouble || why });
    }
    return cells;
  };
  const faults = data.faults.map((fault) => ({ ...fault, cells: cellsOf(fault), named: new Set(fault.breaks) }));

  const head = (columns) => {
    const thead = make("thead");
    const areas = thead.appendChild(make("tr", "areas"));
    const ids = thead.appendChild(make("tr", "ids"));
    areas.append(make("th", "corner", "area"));
    ids.append(make("th", "corner", "fault \\ requirement"));
    let last = null;
    for (const each of columns) {
      const first = each.area !== last?.area;
      if (first) {
        last = { area: each.area, cell: areas.appendChild(make("th", "edge", each.area)), span: 0 };
        last.cell.title = each.area;
      }
      last.cell.colSpan = ++last.span;
      const survives = each.level !== "MAY" && !each.killed;
      const cell = make("th", `${each.level}${first ? " edge" : ""}${survives ? " survivor" : ""}`);
      cell.title = `${each.id} (${each.level}): ${each.statement}`;
      cell.append(make("span", "", each.id));
      ids.append(cell);
    }
    return thead;
  };

  const row = (fault, columns, edges) => {
    const line = make("tr");
    const name = make("th", fault.missed.length || fault.trouble ? "name bad" : "name", fault.name);
    name.scope = "row";
    name.title = `${fault.name}: ${fault.statement}`;
    line.append(name);
    columns.forEach((each, index) => {
      const cell = make("td", edges[index] ? "edge" : "");
      const found = fault.cells.get(each.id);
      if (found) {
        const named = fault.named.has(each.id);
        const button = make("button", `${found.sign}${named ? " named" : ""}`, SIGNS[found.sign]);
        button.type = "button";
        button.title = `${fault.name} × ${each.id}: ${found.sign}`;
        button.dataset.fault = fault.name;
        button.dataset.id = each.id;
        cell.append(button);
      }
      line.append(cell);
    });
    return line;
  };

  const draw = () => {
    const columns = data.requirements.filter((each) => !area.value || each.area === area.value);
    const edges = columns.map((each, index) => index === 0 || each.area !== columns[index - 1].area);
    const ids = new Set(columns.map((each) => each.id));
    const wanted = search.value.trim().toLowerCase();
    const shown = faults.filter((fault) => fault.name.includes(wanted) && [...fault.cells.keys()].some((id) => ids.has(id)));
    const table = make("table");
    table.append(head(columns));
    const body = table.appendChild(make("tbody"));
    let group = null;
    for (const fault of shown) {
      const its = requirements.get(fault.breaks[0])?.area ?? "";
      if (its !== group) {
        group = its;
        const line = body.appendChild(make("tr", "group"));
        line.append(make("th", "", its));
        const rest = line.appendChild(make("td"));
        rest.colSpan = Math.max(1, columns.length);
      }
      body.append(row(fault, columns, edges));
    }
    place.replaceChildren(table);
    told.hidden = true;
    document.getElementById("shown").textContent = `${shown.length} of ${faults.length} faults, ${columns.length} of ${data.requirements.length} requirements`;
  };

  const tell = (button) => {
    place.querySelector('[aria-pressed="true"]')?.removeAttribute("aria-pressed");
    button.setAttribute("aria-pressed", "true");
    const fault = faults.find((each) => each.name === button.dataset.fault);
    const requirement = requirements.get(button.dataset.id);
    const cell = fault.cells.get(requirement.id);
    const line = (label, text) => {
      const made = make("p");
      made.append(make("b", "", `${label} `), text);
      return made;
    };
    told.replaceChildren(
      line(`${fault.name}:`, fault.statement),
      line(`${requirement.id} (${requirement.level}):`, requirement.statement),
      line(cell.sign === "missed" ? "did not fail:" : `${cell.sign}:`, cell.reason || "no reason given"),
    );
    told.hidden = false;
  };

  place.addEventListener("click", (event) => {
    const button = event.target.closest("button");
    if (button) tell(button);
  });
  area.addEventListener("change", draw);
  search.addEventListener("input", draw);
  draw();
})();
