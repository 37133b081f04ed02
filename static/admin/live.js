/* The live tail: asks every two seconds what arrived, shows the latest 200 events, and says how many it does not show.
   Batches may be committed in another order than their numbers: the last numbers are asked for again, without those
   that were seen. */
(() => {
  const EVERY = 2000, KEPT = 200, OVERLAP = 300;
  const root = document.getElementById("live");
  const rows = document.getElementById("live-rows");
  const state = document.getElementById("live-state");
  const empty = document.getElementById("live-empty");
  const pause = document.getElementById("live-pause");
  const filter = document.getElementById("live-filter");
  let seen = new Set(), told = new Set(), since = null, after = null, paused = false, arrived = 0, round = 0, timer = null;

  const cell = (text, name) => {
    const made = document.createElement("td");
    if (name) made.className = name;
    made.textContent = text;
    return made;
  };

  const row = (event) => {
    const made = document.createElement("tr"), id = cell(""), link = document.createElement("a"), fate = cell("");
    made.dataset.place = event.place;
    link.className = "mb-link";
    link.href = event.url;
    link.textContent = event.id;
    id.append(link);
    id.className = "mb-id";
    for (const [word, kind] of event.fate) {
      const badge = document.createElement("span");
      badge.className = `mb-badge ${kind}`;
      badge.textContent = word;
      fate.append(badge, " ");
    }
    made.append(cell(event.recorded, "mb-figure-inline"), cell(event.time, "mb-figure-inline"), id, cell(event.type),
      cell(event.subject), cell(event.customer || "–"), fate, cell(event.counts.join("; ")));
    return made;
  };

  const show = (answer) => {
    const first = after === null;
    for (const batch of answer.batches) seen.add(batch);
    if (answer.batches.length) after = Math.max(after ?? 0, answer.batches[0]);
    after ??= 0;
    seen = new Set([...seen].filter((batch) => batch > after - OVERLAP));
    const known = new Set([...rows.children].map((each) => each.dataset.place));
    const fresh = [...answer.refused, ...answer.events].filter((event) => !known.has(event.place) && !told.has(event.place));
    for (const event of answer.refused) told.add(event.place);
    since = answer.now;
    rows.prepend(...fresh.map(row));
    while (rows.children.length > KEPT) rows.lastElementChild.remove();
    if (!first) arrived += answer.count;
    empty.hidden = rows.children.length > 0;
    const more = first ? 0 : answer.count - answer.events.length;
    let text = `${arrived.toLocaleString("en")} event${arrived === 1 ? "" : "s"} arrived since this page was opened`;
    if (more > 0) text += `; ${more.toLocaleString("en")} of the last ${answer.count.toLocaleString("en")} are not shown`;
    if (answer.passed_over > 0) text += `, nor those of ${answer.passed_over.toLocaleString("en")} batches more`;
    state.textContent = `${text}.`;
  };

  const ask = async () => {
    const mine = round, query = new URLSearchParams(new FormData(filter));
    if (after !== null) query.set("after", after);
    if (since !== null) query.set("since", since);
    query.set("seen", [...seen].join(","));
    try {
      const answer = await fetch(`${root.dataset.url}?${query}`, { headers: { Accept: "application/json" } });
      if (!answer.ok) throw new Error(answer.status);
      const found = await answer.json();
      if (mine === round && !paused) show(found);
    } catch (error) {
      if (mine === round) state.textContent = "No answer; asking again.";
    }
    if (mine === round && !paused) timer = setTimeout(ask, document.hidden ? EVERY * 5 : EVERY);
  };

  const restart = () => {
    round += 1;
    clearTimeout(timer);
    if (!paused) ask();
  };

  pause.addEventListener("click", () => {
    paused = !paused;
    pause.textContent = paused ? "Go on" : "Pause";
    pause.setAttribute("aria-pressed", paused);
    if (paused) state.textContent = "Paused.";
    restart();
  });
  filter.addEventListener("submit", (event) => event.preventDefault());
  filter.addEventListener("change", () => {
    rows.replaceChildren();
    seen = new Set();
    told = new Set();
    since = null;
    after = null;
    arrived = 0;
    restart();
  });
  restart();
})();
