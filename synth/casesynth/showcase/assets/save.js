/* The filtered view as a CSV file: one row per value of every attribute, hidden ones said to be hidden. */

/* A cell that no spreadsheet takes for a formula, quoted where it must be. */
function csvCell(value) {
  let text = value === null || value === undefined ? "" : String(value);
  if (typeof value === "string" && /^[=+\-@\t\r\n\0＝＋－＠]/.test(text)) text = `'${text}`;
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

function csvText(rows) {
  return rows.map((row) => row.map(csvCell).join(",")).join("\r\n") + "\r\n";
}

function rounded(number, digits) {
  return Number(number.toFixed(digits));
}

function filteredRows() {
  const heads = ["filter", "list", "attribute", "value", "list_label", "value_label", "status", "people", "people_low", "people_high", "answered", "share", "share_low", "share_high"];
  const view = viewOf(state.facts);
  const codeOf = ([column, place]) => {
    const { value } = DATA.columns[column];
    return DATA.lists[attributeOf(column).list].codes[value === null ? place : value];
  };
  const filter = state.facts.map((fact) => `${attributeOf(fact[0]).name}=${codeOf(fact)}`).join(" & ");
  const numbers = (number) => (number.shown ? [rounded(number.estimate, 1), rounded(number.low, 1), rounded(number.high, 1)] : ["", "", ""]);
  const rows = [heads, [filter, "", "", "", word("everyone"), factsName(state.facts), view.total.shown ? "shown" : "hidden", ...numbers(view.total), "", "", "", ""]];
  for (const dimension of DATA.dimensions) {
    const seen = { ...dimension, attribute: null };
    const counts = countsOf(seen, view);
    const name = dimension.attribute || dimension.group || "";
    for (const fact of dimension.facts) {
      const row = counts.tooLong ? null : counts.rows.find((each) => sameFact(each.fact, fact));
      const labels = [filter, name, attributeOf(fact[0]).name, codeOf(fact), dimensionLabel(dimension), factLabel(fact, dimension)];
      if (!row) rows.push([...labels, "combination too long", "", "", "", "", "", "", ""]);
      else {
        const { number, share } = row;
        const shares = share.shown ? [rounded(counts.base.estimate, 1), rounded(share.value, 4), rounded(share.low, 4), rounded(share.high, 4)] : ["", "", "", ""];
        rows.push([...labels, number.shown ? "shown" : "hidden", ...numbers(number), ...shares]);
      }
    }
  }
  return rows;
}

function saveTable() {
  const link = h("a", {
    href: URL.createObjectURL(new Blob(["\uFEFF", csvText(filteredRows())], { type: "text/csv;charset=utf-8" })),
    download: "showcase-table.csv",
  });
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
  document.getElementById("live").textContent = word("saved");
}
