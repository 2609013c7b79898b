/* A fact sheet: one country on one page, made for printing. It does not depend on the filter. */

const SHEET_ROWS = 6;

function sheetCountries(position) {
  const dimension = DATA.dimensions[position];
  return dimension.facts
    .map((fact) => ({ fact, label: factLabel(fact, dimension), number: total([fact]) }))
    .filter((row) => row.number.shown)
    .sort((a, b) => b.number.estimate - a.number.estimate);
}

/* The strongest facts of one dimension, as a short table. */
function sheetTable(dimension, view, name) {
  const counts = countsOf(dimension, view);
  if (counts.tooLong) return null;
  const all = ordered(dimension, counts.rows);
  const shown = all.filter((row) => row.number.shown);
  const listedRows = isLong(dimension) ? shown.slice(0, SHEET_ROWS) : dimension.kind === "date" ? shown.slice(-10) : shown;
  const rest = all.length - shown.length;
  return h(
    "div",
    { class: "sheet-part" },
    h("h4", {}, dimensionLabel(dimension)),
    listedRows.length
      ? table(
          word("tableOf", { what: dimensionLabel(dimension), facts: name }),
          [word("value"), word("people"), word("interval"), word("share")],
          listedRows.map(({ label, number, share }) => [label, countText(number), rangeOf(number), shareText(share)])
        )
      : h("p", {}, word("nothingShown")),
    h("p", { class: "quiet" }, dimension.answered ? (counts.base.shown ? word("ofAnswered", { people: whole(counts.base.estimate), range: rangeOf(counts.base) }) : word("answeredHidden")) : word("ofEveryone"), rest > 0 ? ` ${word("hiddenValues", { count: whole(rest) })}` : "")
  );
}

function sheetSection() {
  if (!DATA.views.countries.length) return null;
  const positions = DATA.views.countries;
  const position = positions[state.sheet.attribute];
  const countries = sheetCountries(position);
  if (!countries.length) return section("sheet", word("sheetHeading"), notice(word("nothingShown")));
  const chosen = countries.find((row) => row.fact[1] === state.sheet.value) || countries[0];
  const view = viewOf([chosen.fact]);
  const name = factName(chosen.fact);
  const others = DATA.dimensions.filter((_, place) => place !== position);
  const byName = [...countries].sort((a, b) => a.label.localeCompare(b.label, state.language));
  return section(
    "sheet",
    word("sheetHeading"),
    h("p", {}, word("sheetHelp")),
    h(
      "div",
      { class: "controls" },
      positions.length > 1 &&
        choice("sheet-attribute", word("sheetAs"), positions.map((each, place) => [place, dimensionLabel(DATA.dimensions[each])]), state.sheet.attribute, (value) => {
          state.sheet.attribute = Number(value);
          changed();
        }),
      choice("sheet-country", word("country"), byName.map((row) => [row.fact[1], row.label]), chosen.fact[1], (value) => {
        state.sheet.value = Number(value);
        changed();
      }),
      button("print-sheet", word("printSheet"), printSheet, { class: "primary" })
    ),
    h(
      "article",
      { class: "panel sheet", id: "fact-sheet" },
      h("p", { class: "sheet-release" }, DATA.release.title),
      h("h3", {}, name),
      h("p", { class: "lead-line" }, word("sheetPeople", { people: whole(chosen.number.estimate), range: rangeOf(chosen.number), all: whole(allPeople().estimate) })),
      h("div", { class: "sheet-grid" }, others.map((dimension) => sheetTable(dimension, view, name))),
      DATA.release.privateDecision && notice(h("b", {}, word("privateDecision"))),
      h("p", { class: "quiet" }, `${guaranteeText()} ${word("caveatSample")} ${word("caveatHidden", hiddenFilled())} ${word("sheetSource", { title: DATA.release.title, date: DATA.release.created, licence: DATA.release.licence })}`)
    )
  );
}

function printSheet() {
  document.documentElement.classList.add("printing-sheet");
  window.addEventListener("afterprint", () => document.documentElement.classList.remove("printing-sheet"), { once: true });
  window.print();
}
