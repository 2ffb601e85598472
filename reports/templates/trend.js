"use strict";
// Says when a page is older than its schedule, and draws the matrix of a target. It sets text, never markup.
(() => {
  for (const told of document.querySelectorAll(".late")) {
    const hours = (Date.now() - Date.parse(told.dataset.night)) / 3600e3;
    if (hours <= Number(told.dataset.hours)) continue;
    told.hidden = false;
    document.body.classList.replace("good", "bad");
  }

  const place = document.getElementById("matrix");
  if (!place) return;
  const data = JSON.parse(document.getElementById("data").textContent);
  const all = document.getElementById("all");
  const level = document.getElementById("level");
  const search = document.getElementById("search");
  const told = document.getElementById("cell");
  const QUIET = /^[prn ]*$/; // nothing in it that anybody has to look at
  let chosen = null;

  const make = (tag, name, text) => {
    const made = document.createElement(tag);
    if (name) made.className = name;
    if (text !== undefined) made.textContent = text;
    return made;
  };

  const head = () => {
    const line = make("tr");
    line.append(make("th", "name", "requirement \\ night"));
    for (const night of data.nights) {
      const cell = make("th", (night.breaks ? "breaks" : "") + (night.ended ? "" : " unended"));
      cell.title = `${night.at}, ${night.server}, revision ${night.revision}${night.stopped ? `: ${night.stopped}` : ""}`;
      cell.append(make("span", "", night.day));
      line.append(cell);
    }
    const made = make("thead");
    made.append(line);
    return made;
  };

  // A reason stands from the night on which the verdict changed.
  const reason = (row, index) => {
    for (let night = index; night >= 0 && row.cells[night] === row.cells[index]; night--) {
      if (row.reasons[night]) return row.reasons[night];
    }
    return "";
  };

  const tell = (row, index) => {
    const night = data.nights[index];
    const verdict = data.words[row.cells[index]] || "not promised by this revision";
    told.replaceChildren(
      make("p", "", `${row.id} (${row.level}): ${verdict} on ${night.at}, ${night.server}, revision ${night.revision}`),
      make("p", "seen", row.statement),
      make("p", "", reason(row, index) || (night.ended ? "" : night.stopped)),
    );
    told.hidden = false;
  };

  const lines = data.rows.map((row) => {
    const line = make("tr");
    const name = make("th", "name", row.id);
    name.scope = "row";
    name.title = `${row.area}: ${row.statement}`;
    name.append(make("small", "", row.level));
    line.append(name);
    [...row.cells].forEach((sign, index) => {
      const cell = make("td", `c-${sign.trim() || "r"}${data.nights[index].breaks ? " breaks" : ""}`);
      cell.dataset.night = index;
      line.append(cell);
    });
    return { row, line, text: `${row.id} ${row.area} ${row.statement}`.toLowerCase() };
  });

  const body = make("tbody");
  body.addEventListener("click", (event) => {
    const cell = event.target.closest("td");
    if (!cell) return;
    if (chosen) chosen.classList.remove("chosen");
    chosen = cell;
    cell.classList.add("chosen");
    tell(lines.find((each) => each.line === cell.parentElement).row, Number(cell.dataset.night));
  });

  const draw = () => {
    const words = search.value.toLowerCase();
    const shown = lines.filter(
      ({ row, text }) =>
        (all.checked || !QUIET.test(row.cells)) && (!level.value || row.level === level.value) && text.includes(words),
    );
    body.replaceChildren(...shown.map((each) => each.line));
    document.getElementById("count").textContent = `${shown.length} of ${lines.length} requirements`;
  };

  const table = make("table");
  table.append(head(), body);
  place.append(table);
  document.getElementById("tools").hidden = false;
  for (const each of [all, level, search]) each.addEventListener("input", draw);
  draw();
  place.scrollLeft = place.scrollWidth; // the newest night
})();
