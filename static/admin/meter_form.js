// The meter form: rows of filters, and the preview that follows what is typed. Without it, the form works by its buttons.
"use strict";

document.addEventListener("DOMContentLoaded", () => {
    const form = document.getElementById("meter_form");
    const panel = document.getElementById("meter-preview");
    if (!form) return;
    filterRows(form);
    if (panel) preview(form, panel);
});

function filterRows(form) {
    for (const box of form.querySelectorAll("[data-filter-rows]")) {
        const add = box.querySelector("[data-add-row]");
        box.querySelectorAll("[data-empty-row]").forEach((button) => { button.hidden = false; });
        add.hidden = false;
        add.addEventListener("click", () => {
            const rows = box.querySelectorAll("[data-filter-row]");
            const row = rows[rows.length - 1].cloneNode(true);
            row.querySelectorAll("input").forEach((input) => { input.value = ""; input.removeAttribute("id"); });
            row.querySelector("select").selectedIndex = 0;
            add.before(row);
            row.querySelector("input").focus();
        });
        box.addEventListener("click", (event) => {
            const button = event.target.closest("[data-empty-row]");
            if (!button) return;
            const row = button.closest("[data-filter-row]");
            row.querySelectorAll("input").forEach((input) => { input.value = ""; });
            if (box.querySelectorAll("[data-filter-row]").length > 1) row.remove();
            form.dispatchEvent(new Event("change"));
        });
    }
}

function preview(form, panel) {
    const properties = document.getElementById("event-properties");
    const type = form.elements.event_type;
    let waiting, running;

    async function refresh() {
        running?.abort();
        running = new AbortController();
        panel.setAttribute("aria-busy", "true");
        try {
            const answer = await fetch(panel.dataset.url, {
                method: "POST", body: new FormData(form), signal: running.signal,
                headers: { "X-Requested-With": "fetch" },
            });
            if (!answer.ok) throw new Error(`The server answered ${answer.status}.`);
            show(await answer.text());
        } catch (error) {
            if (error.name === "AbortError") return;
            panel.textContent = `The preview could not be made: ${error.message}`;
        }
        panel.removeAttribute("aria-busy");
    }

    function show(html) {
        panel.innerHTML = html;
        const found = JSON.parse(document.getElementById("meter-properties").textContent) || {};
        properties.replaceChildren(...Object.entries(found).map(([name, example]) => {
            const option = document.createElement("option");
            option.value = name;
            option.label = `for example ${example}`;
            return option;
        }));
        const problems = JSON.parse(document.getElementById("meter-problems").textContent);
        form.querySelectorAll(".mb-live-problem").forEach((old) => old.remove());
        for (const [name, sentence] of Object.entries(problems)) {
            const field = document.getElementById(`id_${name}`);
            // What was never filled in is not wrong yet.
            if (!field || (field.value === "" && name !== "filters")) continue;
            const line = document.createElement("p");
            line.className = "mb-negative mb-live-problem";
            line.textContent = sentence;
            (field.closest("[data-filter-rows]") || field).after(line);
        }
    }

    function soon() {
        clearTimeout(waiting);
        waiting = setTimeout(refresh, 400);
    }

    form.addEventListener("input", soon);
    form.addEventListener("change", soon);
    if (type && type.value) refresh();
}
