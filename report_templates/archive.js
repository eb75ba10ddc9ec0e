"use strict";
// The archive's search: over the rows of search.js, in the page, from a server or from a file.
(() => {
  const SHOWN_MAX = 50;
  const SIGNS = {ok: "✓", warn: "▲", error: "✕", incomplete: "…", none: "–"};
  const find = document.getElementById("find");
  const field = (id) => document.getElementById(id);
  const plain = (text) => text.normalize("NFKD").toLowerCase();
  const reports = (window.logaggReports || []).map(
    ([href, name, kind, date, heading, mark, word, why, text]) => ({
      href, name, kind, date, heading, mark, word, why,
      all: plain([name, kind, date, heading, word, why, text].join(" ")),
    }));

  function element(tag, className, text) {
    const made = document.createElement(tag);
    if (className) made.className = className;
    made.textContent = text;
    return made;
  }

  function line(report) {
    const item = document.createElement("li");
    const link = element("a", "", report.heading);
    link.href = report.href;
    const mark = element("span", "mark " + (report.mark === "none" ? "none-seen" : report.mark), "");
    const sign = element("span", "", SIGNS[report.mark] || "");
    sign.setAttribute("aria-hidden", "true");
    mark.append(sign, report.word);
    item.append(link, mark);
    if (report.why) {
      const why = element("bdi", "", report.why);
      const said = element("span", "why", "");
      said.append(why);
      item.append(said);
    }
    return item;
  }

  function search() {
    const words = plain(field("text").value).split(/\s+/).filter(Boolean);
    const from = field("from").value;
    const to = field("to").value;
    const asked = words.length > 0 || from !== "" || to !== "";
    const found = asked ? reports.filter((report) =>
      (from === "" || report.date >= from) && (to === "" || report.date <= to) &&
      words.every((word) => report.all.includes(word))) : [];
    field("results").replaceChildren(...found.slice(0, SHOWN_MAX).map(line));
    const more = found.length > SHOWN_MAX ? `, the newest ${SHOWN_MAX} are shown` : "";
    field("found").hidden = !asked;
    field("found").textContent = asked ? `${found.length} ${found.length === 1 ? "report" : "reports"} found${more}` : "";
  }

  const form = find.querySelector("form");
  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("input", search);
  form.addEventListener("reset", () => setTimeout(search));
  find.hidden = false;
  search();
})();
