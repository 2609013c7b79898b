/* The trend: one bar per period; on a narrow screen the same bars lie down. */

function tickStep(most) {
  const rough = most / 4;
  const power = 10 ** Math.floor(Math.log10(Math.max(rough, 1)));
  return [1, 2, 5, 10].map((each) => each * power).find((each) => each >= rough);
}

function trendSection(view) {
  const position = DATA.views.trend;
  if (position === null) return null;
  const dimension = DATA.dimensions[position];
  const counts = countsOf(dimension, view);
  const heading = word("trendHeading", { what: dimensionLabel(dimension) });
  if (counts.tooLong) return section("trend", heading, tooLong(counts.tooLong));
  const step = tickStep(Math.max(...counts.rows.map((row) => (row.number.shown ? row.number.high : 0)), 10));
  const most = Math.max(...counts.rows.map((row) => (row.number.shown ? Math.ceil(row.number.high / step) * step : step)));
  const ticks = [];
  for (let tick = 0; tick <= most; tick += step) ticks.push(tick);
  const labels = Math.ceil(counts.rows.length / 12);
  return section(
    "trend",
    heading,
    h(
      "div",
      { class: "panel" },
      h(
        "div",
        { class: "trend" },
        h("div", { class: "ticks", "aria-hidden": "true" }, ticks.map((tick) => h("span", { vars: { "--at": tick / most } }, whole(tick)))),
        h(
          "ul",
          { class: "bars columns" },
          counts.rows.map((row, place) => {
            const item = row.number.shown ? barRow(row, most, position) : hiddenRow(row);
            if (place % labels) item.classList.add("between");
            return item;
          })
        )
      ),
      h("p", { class: "quiet" }, word("trendCaution")),
      baseLine(dimension, counts),
      tableBehind(position, dimension, counts, view)
    )
  );
}
