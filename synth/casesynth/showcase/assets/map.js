/* Maps: one per country attribute. A click on a country filters; the bars beside it do the same for the keyboard. */

const EDGES = [10, 30, 100, 300, 1000, 3000, 10000, 30000, 100000, 300000, 1000000];

function shade(estimate, steps) {
  let found = 0;
  for (let i = 0; i < steps.length; i += 1) if (estimate >= steps[i]) found = i;
  return found;
}

/* How much of the darkest colour a step has. */
function tone(step, steps) {
  return `${Math.round(25 + 75 * (steps.length > 1 ? step / (steps.length - 1) : 1))}%`;
}

function stepsFor(rows) {
  const most = Math.max(...rows.map((row) => row.number.estimate), 10);
  return EDGES.filter((edge) => edge <= most);
}

function drawing(dimension, rows) {
  const { width, height, shapes, land } = DATA.map;
  const shown = rows.filter((row) => row.number.shown);
  const steps = stepsFor(shown);
  const codes = DATA.lists[DATA.attributes.find((each) => each.name === dimension.attribute).list].codes;
  const byCode = new Map(rows.map((row) => [codes[row.fact[1]], row]));
  const shape = ([code, d]) => {
    const row = byCode.get(code);
    if (!row || !row.number.shown) return svg("path", { d, class: "land" }, svg("title", {}, row ? `${row.label}: ${word("hidden")}` : code));
    return svg(
      "path",
      { d, class: isChosen(row.fact) ? "country chosen" : "country", vars: { "--level": tone(shade(row.number.estimate, steps), steps) }, onclick: () => toggle(row.fact) },
      svg("title", {}, `${row.label}: ${whole(row.number.estimate)} (${rangeOf(row.number)})`)
    );
  };
  const top = shown.slice().sort((a, b) => b.number.estimate - a.number.estimate).slice(0, 3);
  const label = word("mapLabel", { what: dimensionLabel(dimension), top: listed(top.map((row) => `${row.label} ${whole(row.number.estimate)}`)) });
  return h(
    "figure",
    { class: "map" },
    svg(
      "svg",
      { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": label },
      land.map((d) => svg("path", { d, class: "land" })),
      Object.entries(shapes).map(shape)
    ),
    h(
      "figcaption",
      { class: "legend" },
      h("span", {}, h("span", { class: "swatch land" }), word("hidden")),
      steps.map((edge, place) => h("span", {}, h("span", { class: "swatch", vars: { "--level": tone(place, steps) } }), word("andMore", { count: whole(edge) })))
    )
  );
}

function smallCountries(dimension, rows) {
  const codes = DATA.lists[DATA.attributes.find((each) => each.name === dimension.attribute).list].codes;
  const small = rows.filter((row) => row.number.shown && !(codes[row.fact[1]] in DATA.map.shapes));
  if (!small.length) return null;
  const texts = small.map((row) => word("nameAndPeople", { name: row.label, people: whole(row.number.estimate) }));
  return h("p", { class: "quiet" }, word("notOnMap", { countries: listed(texts) }));
}

function mapPanel(position, view) {
  const dimension = DATA.dimensions[position];
  const counts = countsOf(dimension, view);
  const shown = counts.tooLong ? [] : ordered(dimension, counts.rows);
  return h(
    "article",
    { class: "panel", "data-panel": position },
    h("h3", {}, dimensionLabel(dimension)),
    counts.tooLong
      ? tooLong(counts.tooLong)
      : [
          baseLine(dimension, counts),
          drawing(dimension, counts.rows),
          smallCountries(dimension, shown),
          bars(dimension, counts.rows, position),
          tableBehind(position, dimension, counts, view),
        ]
  );
}

function mapSection(view) {
  if (!DATA.views.countries.length) return null;
  return section(
    "map",
    word("mapHeading"),
    h("div", { class: "grid wide" }, DATA.views.countries.map((position) => mapPanel(position, view))),
    h("p", { class: "quiet" }, word("mapCaution"))
  );
}
