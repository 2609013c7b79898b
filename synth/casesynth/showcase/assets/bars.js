/* Bars: the facts of one dimension, each with its estimate, its interval and its share of those who answered. */

const FIRST = 8;

/* The view in which a dimension is counted: an attribute is counted without its own filter, so that another value can be chosen. */
function viewFor(dimension, view) {
  if (!dimension.attribute || dimension.kind === "multi") return view;
  const column = dimension.facts[0][0];
  const others = view.facts.filter((fact) => fact[0] !== column);
  return others.length === view.facts.length ? view : viewOf(others);
}

/* Counts of a dimension in a view, or null where a combination would be longer than its error is known. */
function countsOf(dimension, view) {
  const seen = viewFor(dimension, view);
  const held = new Set(seen.facts.map((fact) => fact[0]));
  const length = seen.facts.length + (dimension.facts.some((fact) => !held.has(fact[0])) ? 1 : 0);
  if (length > longest()) return { tooLong: length };
  const base = answeredOf(seen.people, seen.facts, dimension.answered);
  const rows = dimension.facts.map((fact) => {
    const number = counted(seen.people, seen.facts, fact);
    return { fact, number, share: shareOf(number, base), label: factLabel(fact, dimension) };
  });
  return { base, rows, own: seen !== view };
}

/* Whether a list is too long to be read whole: largest first, and hidden values are only counted. */
function isLong(dimension) {
  return dimension.kind === "country" || (dimension.kind !== "date" && dimension.facts.length > 25);
}

/* Largest first where the order of the values means nothing; by the size among everyone, so that rows stay where they are. */
function ordered(dimension, rows) {
  if (isLong(dimension)) return [...rows].sort((a, b) => b.number.estimate - a.number.estimate);
  if (!["group", "multi", "flags"].includes(dimension.kind)) return rows;
  const size = new Map(rows.map((row) => [row, sumWith(MODEL.weights, MODEL.shares[row.fact[0]][row.fact[1]])]));
  return [...rows].sort((a, b) => size.get(b) - size.get(a));
}

function barRow(row, most, position) {
  const { fact, number, share, label } = row;
  const chosen = isChosen(fact);
  return h(
    "li",
    {},
    h(
      "button",
      {
        type: "button",
        class: "bar-row",
        "data-key": `${position}:${fact[0]}:${fact[1]}`,
        "aria-pressed": String(chosen),
        title: word(chosen ? "removeFilter" : "addFilter"),
        vars: { "--v": number.estimate / most, "--low": number.low / most, "--high": number.high / most },
        onclick: () => toggle(fact),
      },
      h("span", { class: "label" }, label),
      " ",
      h("span", { class: "track", "aria-hidden": "true" }, h("span", { class: "bar" }), h("span", { class: "whisker" })),
      h("span", { class: "number" }, h("b", {}, whole(number.estimate)), " ", h("span", { class: "range" }, `(${rangeOf(number)})`)),
      " ",
      h("span", { class: "share" }, shareText(share))
    )
  );
}

function hiddenRow(row) {
  return h("li", { class: "hidden-row" }, h("span", { class: "label" }, row.label), " ", hiddenWord());
}

function bars(dimension, rows, position) {
  const sorted = ordered(dimension, rows);
  const shown = sorted.filter((row) => row.number.shown);
  const hidden = sorted.filter((row) => !row.number.shown);
  const most = Math.max(...shown.map((row) => row.number.high), 1);
  const key = `all:${position}`;
  const limit = state.whole.has(key) || shown.length <= FIRST + 2 ? shown.length : FIRST;
  const folded = hidden.length > 6 || isLong(dimension);
  const list = folded ? shown.slice(0, limit) : sorted.filter((row) => !row.number.shown || shown.indexOf(row) < limit);
  return [
    h("ul", { class: "bars" }, list.map((row) => (row.number.shown ? barRow(row, most, position) : hiddenRow(row)))),
    shown.length > FIRST + 2 &&
      button(key, word(limit < shown.length ? "showAll" : "showFirst", { count: whole(limit < shown.length ? shown.length : FIRST) }), () => {
        if (!state.whole.delete(key)) state.whole.add(key);
        changed();
      }, { class: "quiet-button" }),
    folded && hidden.length > 0 && h("p", { class: "quiet" }, word("hiddenValues", { count: whole(hidden.length) })),
  ];
}

function baseLine(dimension, counts) {
  const { base } = counts;
  if (!dimension.answered) return h("p", { class: "quiet" }, word("ofEveryone"));
  const text = base.shown
    ? word("ofAnswered", { people: whole(base.estimate), range: rangeOf(base) })
    : word("answeredHidden");
  return h("p", { class: "quiet" }, text, counts.own ? ` ${word("withoutOwn")}` : "");
}

function countsTable(dimension, counts, view) {
  const caption = word("tableOf", { what: dimensionLabel(dimension), facts: factsName(viewFor(dimension, view).facts) });
  const rows = ordered(dimension, counts.rows);
  const listedRows = isLong(dimension) ? rows.filter((row) => row.number.shown) : rows;
  const body = listedRows.map(({ label, number, share }) => [label, countText(number), rangeOf(number), shareText(share), shareRange(share)]);
  const heads = [word("value"), word("people"), word("interval"), word("share"), word("interval")];
  const hidden = rows.length - listedRows.length;
  return h("div", {}, table(caption, heads, body), hidden > 0 && h("p", { class: "quiet" }, word("hiddenValues", { count: whole(hidden) })));
}

function tableBehind(position, dimension, counts, view) {
  return disclosure(`table:${position}`, word("asTable", { what: dimensionLabel(dimension) }), () => countsTable(dimension, counts, view));
}

function barsPanel(position, view) {
  const dimension = DATA.dimensions[position];
  const counts = countsOf(dimension, view);
  return h(
    "article",
    { class: "panel", "data-panel": position },
    h("h3", {}, dimensionLabel(dimension)),
    counts.tooLong
      ? tooLong(counts.tooLong)
      : [baseLine(dimension, counts), bars(dimension, counts.rows, position), tableBehind(position, dimension, counts, view)]
  );
}

function barsSection(view) {
  const panels = DATA.views.panels;
  if (!panels.length) return null;
  return section("facts", word("factsHeading"), h("p", {}, word("factsHelp")), h("div", { class: "grid" }, panels.map((p) => barsPanel(p, view))));
}
