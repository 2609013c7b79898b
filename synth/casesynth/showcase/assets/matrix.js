/* The matrix: of the people with one fact (across), which share also has another (down). */

function matrixChoices() {
  return DATA.dimensions.map((dimension, place) => [place, dimension]).filter(([, d]) => d.kind !== "country" && d.kind !== "date" && d.facts.length > 1 && d.facts.length <= 30);
}

/* Cells of a matrix in a view: per column its people, per cell their count and share of those in the column who answered. */
function matrixOf(down, across, view) {
  const columns = [];
  for (const fact of across.facts) {
    const facts = distinct([...view.facts, fact]);
    if (!facts) continue; // the filter says that nobody here has it
    const held = new Set(facts.map((each) => each[0]));
    const length = facts.length + (down.facts.some((other) => !held.has(other[0])) ? 1 : 0);
    if (length > longest()) return { tooLong: length };
    const inside = viewOf(facts);
    const base = answeredOf(inside.people, facts, down.answered);
    const cells = down.facts.map((other) => {
      const number = counted(inside.people, facts, other);
      return { number, share: shareOf(number, base) };
    });
    columns.push({ fact, total: inside.total, base, cells });
  }
  return { columns };
}

function heatCell({ number, share }) {
  if (!share.shown) return h("td", {}, hiddenWord());
  return h(
    "td",
    { class: "heat", vars: { "--level": `${Math.round(52 * share.value)}%` } },
    h("b", {}, percent(share.value)),
    h("span", { class: "range" }, shareRange(share)),
    h("span", { class: "sr" }, ` ${word("peopleCount", { people: whole(number.estimate) })}`)
  );
}

function matrixSection(view) {
  if (!DATA.views.matrix) return null;
  const [downPlace, acrossPlace] = state.matrix || DATA.views.matrix;
  const [down, across] = [DATA.dimensions[downPlace], DATA.dimensions[acrossPlace]];
  const choices = matrixChoices().map(([place, dimension]) => [place, dimensionLabel(dimension)]);
  const pick = (axis) => (value) => {
    const next = [downPlace, acrossPlace];
    if (Number(value) === next[1 - axis]) next[1 - axis] = next[axis];
    next[axis] = Number(value);
    state.matrix = next;
    changed();
  };
  const heading = word("matrixHeading", { down: dimensionLabel(down), across: dimensionLabel(across) });
  const controls = h(
    "div",
    { class: "controls" },
    choice("matrix-down", word("matrixDown"), choices, downPlace, pick(0)),
    choice("matrix-across", word("matrixAcross"), choices, acrossPlace, pick(1))
  );
  const matrix = matrixOf(down, across, view);
  if (matrix.tooLong) return section("matrix", heading, controls, tooLong(matrix.tooLong));
  const caption = word("matrixCaption", { down: dimensionLabel(down), across: dimensionLabel(across), facts: factsName(view.facts) });
  const grid = h(
    "div",
    { class: "scroll", tabindex: "0", role: "group", "aria-label": heading },
    h(
      "table",
      { class: "matrix" },
      h("caption", {}, caption),
      h(
        "thead",
        {},
        h(
          "tr",
          {},
          h("td", {}),
          matrix.columns.map((column) => h("th", { scope: "col" }, factLabel(column.fact, across), h("span", { class: "range" }, column.total.shown ? word("peopleCount", { people: whole(column.total.estimate) }) : word("hidden"))))
        )
      ),
      h(
        "tbody",
        {},
        down.facts.map((fact, row) => h("tr", {}, h("th", { scope: "row" }, factLabel(fact, down)), matrix.columns.map((column) => heatCell(column.cells[row]))))
      )
    )
  );
  const long = () =>
    table(
      caption,
      [dimensionLabel(across), dimensionLabel(down), word("people"), word("interval"), word("answeredPeople"), word("share"), word("interval")],
      matrix.columns.flatMap((column) =>
        column.cells.map((cell, row) => [
          factLabel(column.fact, across),
          factLabel(down.facts[row], down),
          countText(cell.number),
          rangeOf(cell.number),
          countText(column.base),
          shareText(cell.share),
          shareRange(cell.share),
        ])
      )
    );
  return section("matrix", heading, controls, h("div", { class: "panel" }, grid, disclosure("table:matrix", word("asTable", { what: heading }), long)));
}
