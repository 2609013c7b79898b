/* Two groups side by side. The errors of the two shares are taken as independent: the half width of their difference is the root of the
   sum of the squared half widths. A difference is called clear where its interval leaves zero out. */

function differenceOf(a, b) {
  const value = a.value - b.value;
  const half = Math.hypot(a.half, b.half);
  return { value, low: value - half, high: value + half, shown: a.shown && b.shown, clear: value - half > 0 ? 1 : value + half < 0 ? -1 : 0 };
}

/* Every fact that can describe a group, by dimension; a fact of two dimensions is listed once. */
function groupChoices() {
  const taken = new Set(DATA.dimensions.filter((each) => each.attribute).flatMap((each) => each.facts.map(String)));
  return DATA.dimensions.map((dimension) => {
    const facts = dimension.attribute ? dimension.facts : dimension.facts.filter((fact) => !taken.has(String(fact)));
    if (!dimension.attribute) facts.forEach((fact) => taken.add(String(fact)));
    return { ...dimension, facts };
  });
}

/* The groups that the page starts with: the two largest values of the first attribute that has two. */
function firstGroups() {
  for (const place of DATA.views.panels) {
    const { attribute, facts } = DATA.dimensions[place];
    const rows = facts.map((fact) => ({ fact, number: total([fact]) })).filter((row) => row.number.shown);
    if (!attribute || rows.length < 2) continue;
    const largest = [...rows].sort((a, b) => b.number.estimate - a.number.estimate).slice(0, 2);
    return rows.filter((row) => largest.includes(row)).map((row) => [row.fact]);
  }
  return [[], []];
}

function factSelect(which, place) {
  const facts = state.groups[which];
  const chosen = facts[place] ? facts[place].join(":") : "";
  const select = h(
    "select",
    {
      "data-key": `group:${which}:${place}`,
      onchange: (event) => {
        const next = facts.slice();
        if (event.target.value) next[place] = event.target.value.split(":").map(Number);
        else next.splice(place, 1);
        state.groups[which] = next.filter((fact, i) => next.findIndex((other) => other[0] === fact[0]) === i);
        changed();
        announceComparison();
      },
    },
    h("option", { value: "" }, place ? word("noMore") : word("everyone")),
    groupChoices().map((dimension) => {
      const sorted = dimension.kind === "country" ? [...dimension.facts].sort((a, b) => factLabel(a, dimension).localeCompare(factLabel(b, dimension), state.language)) : dimension.facts;
      return h(
        "optgroup",
        { label: dimensionLabel(dimension) },
        sorted
          .filter((fact) => total([fact]).shown || fact.join(":") === chosen)
          .map((fact) => h("option", { value: fact.join(":"), selected: fact.join(":") === chosen }, factName(fact)))
      );
    })
  );
  return h("label", { class: "choice" }, h("span", {}, word(place ? "andFact" : "whoFact")), select);
}

function groupBox(which) {
  const facts = state.groups[which];
  const number = total(facts);
  const most = longest() - 1;
  const places = Math.min(facts.length + 1, most);
  const name = word(which ? "groupB" : "groupA");
  return h(
    "fieldset",
    { class: `group group${which}` },
    h("legend", {}, name),
    Array.from({ length: places }, (_, place) => factSelect(which, place)),
    h("p", {}, number.shown ? word("groupPeople", { people: whole(number.estimate), range: rangeOf(number) }) : word("summaryHidden", { facts: factsName(facts) })),
    state.facts.length > 0 &&
      state.facts.length <= most &&
      button(`take:${which}`, word("takeFilter", { facts: factsName(state.facts) }), () => {
        state.groups[which] = state.facts.slice();
        changed();
        announceComparison();
      }, { class: "quiet-button" })
  );
}

function announceComparison() {
  document.getElementById("live").textContent = comparisonSummary(comparison());
}

/* The two groups, counted over one dimension. */
function comparison() {
  const dimension = DATA.dimensions[state.contrast];
  const sides = state.groups.map((facts) => countsOf({ ...dimension, attribute: null }, viewOf(facts)));
  const long = sides.find((side) => side.tooLong);
  if (long) return { dimension, tooLong: long.tooLong };
  const rows = dimension.facts.map((fact, place) => {
    const [a, b] = sides.map((side) => side.rows[place]);
    return { label: factLabel(fact, dimension), a, b, difference: differenceOf(a.share, b.share) };
  });
  return { dimension, rows };
}

function comparisonSummary({ rows, tooLong: long }) {
  if (long) return word("tooLong", { length: whole(long), longest: whole(longest()) });
  const clear = rows.filter((row) => row.difference.shown && row.difference.clear);
  if (!clear.length) return word("noneClear");
  clear.sort((a, b) => Math.abs(b.difference.value) - Math.abs(a.difference.value));
  return word("someClear", { count: whole(clear.length), facts: listed(clear.slice(0, 3).map((row) => `${row.label} (${points(row.difference.value)})`)) });
}

function verdict({ shown, clear }) {
  if (!shown) return hiddenWord();
  return h("span", { class: clear > 0 ? "more" : clear < 0 ? "less" : null }, word(clear > 0 ? "higherInA" : clear < 0 ? "lowerInA" : "notClear"));
}

function pairBars({ a, b }) {
  const line = (row, which) =>
    h(
      "span",
      { class: `pair-line group${which}`, vars: { "--v": row.share.value, "--low": row.share.low, "--high": row.share.high } },
      h("span", { class: "track", "aria-hidden": "true" }, row.share.shown && [h("span", { class: "bar" }), h("span", { class: "whisker" })]),
      h("span", { class: "number" }, row.share.shown ? [h("b", {}, percent(row.share.value)), " ", h("span", { class: "range" }, `(${shareRange(row.share)})`)] : hiddenWord())
    );
  return h("td", { class: "pair" }, line(a, 0), line(b, 1));
}

function compareSection() {
  const choices = DATA.dimensions.map((dimension, place) => [place, dimensionLabel(dimension)]);
  const found = comparison();
  const same = JSON.stringify([...state.groups[0]].sort()) === JSON.stringify([...state.groups[1]].sort());
  const content = [];
  if (same) content.push(notice(word("sameGroups")));
  if (found.tooLong) content.push(tooLong(found.tooLong));
  else if (!same) {
    const rows = isLong(found.dimension) ? found.rows.filter((row) => row.a.number.shown || row.b.number.shown) : found.rows;
    const caption = word("compareCaption", { what: dimensionLabel(found.dimension), a: factsName(state.groups[0]), b: factsName(state.groups[1]) });
    content.push(
      h("p", { class: "lead-line" }, comparisonSummary(found)),
      h(
        "div",
        { class: "scroll", tabindex: "0", role: "group", "aria-label": word("compareHeading") },
        h(
          "table",
          { class: "compare" },
          h("caption", {}, caption),
          h("thead", {}, h("tr", {}, [word("value"), word("sharesInAB"), word("difference"), word("verdict")].map((text) => h("th", { scope: "col" }, text)))),
          h(
            "tbody",
            {},
            rows.map((row) =>
              h(
                "tr",
                {},
                h("th", { scope: "row" }, row.label),
                pairBars(row),
                h("td", {}, row.difference.shown ? [h("b", {}, points(row.difference.value)), " ", h("span", { class: "range" }, `(${rangeText(row.difference.low, row.difference.high, points)})`)] : hiddenWord()),
                h("td", {}, verdict(row.difference))
              )
            )
          )
        )
      ),
      disclosure("table:compare", word("asTable", { what: word("compareHeading") }), () =>
        table(
          caption,
          [word("value"), `${word("groupA")}: ${word("people")}`, word("interval"), `${word("groupB")}: ${word("people")}`, word("interval")],
          rows.map(({ label, a, b }) => [label, countText(a.number), rangeOf(a.number), countText(b.number), rangeOf(b.number)])
        )
      )
    );
  }
  return section(
    "compare",
    word("compareHeading"),
    h("p", {}, word("compareHelp")),
    h(
      "div",
      { class: "panel" },
      h("div", { class: "groups" }, groupBox(0), groupBox(1)),
      choice("contrast", word("compareBy"), choices, state.contrast, (value) => {
        state.contrast = Number(value);
        changed();
        announceComparison();
      }),
      content,
      h("p", { class: "quiet" }, word("compareHow"))
    )
  );
}
