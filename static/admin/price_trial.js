// What a price costs, while it is edited: words, curve, warnings and a worked example. All of it is asked of the server.
"use strict";

window.Meterbook ||= {};

Meterbook.post = async (url, body, signal) => {
    const token = document.querySelector("[name=csrfmiddlewaretoken]").value;
    try {
        const answer = await fetch(url, { method: "POST", signal, body: JSON.stringify(body), headers: { "Content-Type": "application/json", "X-CSRFToken": token } });
        if (answer.status === 200 || answer.status === 400) return await answer.json();
        return { detail: answer.status === 403 ? "Your session has ended, or your role may not edit prices: reload the page." : `The server answered ${answer.status}.` };
    } catch (error) {
        if (error.name === "AbortError") return null;
        return { detail: "The server cannot be reached; what you typed is still here." };
    }
};

Meterbook.PriceTrial = class {
    // `host`: priceUrl, meter(), feeUnit(), month, customersUrl, told(answer).
    constructor(host) {
        this.host = host;
        this.log = false;
        this.example = { quantity: host.quantity || "1000" };
        this.build();
        new MutationObserver(() => this.draw()).observe(document.documentElement, { attributes: true, attributeFilter: ["class"] });
    }

    build() {
        const make = Meterbook.make;
        this.words = make("p", { class: "mb-trial-words" });
        this.about = make("p", { class: "mb-about" });
        this.canvas = make("canvas", { role: "img", "aria-label": "Total by quantity; the figures are in the table below" });
        this.empty = make("p", { class: "mb-trial-empty" }, "The curve is drawn as soon as the price is complete.");
        const log = make("input", { type: "checkbox", form: "mb-no-form", onchange: () => { this.log = log.checked; this.soon(0); } });
        const legend = make("div", { class: "mb-legend" }, make("span", {}, make("i", { class: "total" }), "Total"), make("span", {}, make("i", { class: "next" }), "The next unit"), make("label", {}, log, "Log scale"));
        this.warnings = make("div", { class: "mb-trial-warnings", "aria-live": "polite" });
        this.figures = make("tbody");
        this.nextHead = make("th", { class: "num" }, "Next unit");
        const twin = make("details", { class: "mb-twin" }, make("summary", {}, "Figures"), make("div", { class: "mb-cells" }, make("table", { class: "mb-table" }, make("thead", {}, make("tr", {}, make("th", {}, "Quantity"), make("th", { class: "num" }, "Total"), this.nextHead, make("th", { class: "num" }, "On average"))), this.figures)));
        this.root = make("aside", { class: "mb-trial", "aria-label": "What it costs" }, make("h3", { class: "mb-head" }, "What it costs"), this.words, this.about, make("div", { class: "mb-curve" }, this.canvas, this.empty), legend, this.warnings, twin, this.exampleBox());
    }

    exampleBox() {
        const make = Meterbook.make;
        const name = `mb-example-${Meterbook.count = (Meterbook.count || 0) + 1}`;
        const mode = (value, words) => make("label", { class: "mb-chip" }, make("input", { type: "radio", name, value, form: "mb-no-form", checked: value === "typed", onchange: () => this.setMode(value) }), words);
        this.modes = make("div", { class: "mb-example-modes", role: "radiogroup", "aria-label": "Worked example of" }, mode("typed", "A quantity"), mode("customer", "A customer’s month"));
        this.typed = make("div", { class: "mb-example-inputs" });
        this.real = make("div", { class: "mb-example-inputs", hidden: true });
        this.result = make("div", { class: "mb-example-result", "aria-live": "polite" });
        this.kind = "";
        this.typedAs("quantity", []);
        return make("section", { class: "mb-example", "aria-label": "Worked example" }, make("h3", { class: "mb-head" }, "Worked example"), this.modes, this.typed, this.real, this.result);
    }

    setMode(mode) {
        this.mode = mode;
        this.typed.hidden = mode === "customer";
        this.real.hidden = mode !== "customer";
        if (mode === "customer" && !this.real.childElementCount) this.customerInputs();
        this.soon(0);
    }

    // What is typed depends on what the price takes: a quantity, quantities of kinds, or the values of single events.
    typedAs(kind, dimensions, rows = [], quantity = "1000") {
        const key = `${kind} ${dimensions} ${JSON.stringify(rows)}`;
        if (this.kind === key || (this.typed.contains(document.activeElement) && this.kind.startsWith(`${kind} ${dimensions} `))) return false;
        const fresh = Boolean(this.kind);
        this.kind = key;
        const make = Meterbook.make;
        const number = (label, value, set) => {
            const input = make("input", { type: "text", inputmode: "decimal", class: "mb-input mb-number", "aria-label": label, form: "mb-no-form" });
            input.value = value;
            input.addEventListener("input", () => { set(input.value); this.soon(); });
            return input;
        };
        if (kind === "quantity") {
            this.example = { quantity: this.example.quantity || this.host.quantity || "1000" };
            this.unitLabel = make("span", { class: "mb-affix" });
            this.typed.replaceChildren(make("span", { class: "mb-affixed" }, number("Quantity", this.example.quantity, (value) => { this.example = { quantity: value }; }), this.unitLabel));
        } else if (kind === "events") {
            this.example = { events: this.example.events || "12.50, 40, 120" };
            const area = number("Values of the events", this.example.events, (value) => { this.example = { events: value }; });
            this.typed.replaceChildren(make("label", { class: "mb-field wide" }, make("span", { class: "mb-label" }, "Values of single events, apart by commas"), area));
        } else {
            this.example = { cells: rows.map((values) => ({ values, quantity })) };
            this.typed.replaceChildren(...this.example.cells.map((cell) => make("label", { class: "mb-cell-try" }, make("span", {}, cell.values.map((value) => value || "…").join(" · ")), number("Quantity", cell.quantity, (value) => { cell.quantity = value; }))));
        }
        return fresh;
    }

    customerInputs() {
        const make = Meterbook.make;
        const select = make("select", { class: "admin-autocomplete unfold-admin-autocomplete", "data-ajax--cache": "true", "data-ajax--delay": "250", "data-ajax--type": "GET", "data-ajax--url": this.host.customersUrl, "data-app-label": "customers", "data-model-name": "contract", "data-field-name": "customer", "data-theme": "admin-autocomplete", "data-placeholder": "Choose a customer", "data-allow-clear": "false", form: "mb-no-form", "aria-label": "Customer" }, make("option", { value: "" }));
        const month = make("input", { type: "month", class: "mb-input mb-short", "aria-label": "Month", form: "mb-no-form" });
        month.value = this.host.month;
        this.real.replaceChildren(make("div", { class: "mb-customer" }, select), month);
        const changed = () => { this.customer = { customer: select.value, month: month.value }; this.soon(0); };
        window.django.jQuery(select).djangoAdminSelect2().on("change", changed);
        month.addEventListener("change", changed);
        changed();
    }

    // Ask for what the editor holds now; only the last answer counts.
    soon(delay = 250) {
        clearTimeout(this.waiting);
        this.waiting = setTimeout(() => this.ask(), delay);
    }

    async ask() {
        this.running?.abort();
        this.running = new AbortController();
        this.root.setAttribute("aria-busy", "true");
        const example = this.mode === "customer" ? this.customer : this.example;
        const answer = await Meterbook.post(this.host.priceUrl, { price: this.host.price(), meter: this.host.meter(), unit: this.host.feeUnit(), log: this.log, window: this.host.window(), cell: this.cell, example }, this.running.signal);
        if (!answer) return;
        this.root.removeAttribute("aria-busy");
        this.host.told(answer);
        this.show(answer);
    }

    show(answer) {
        const make = Meterbook.make;
        const curve = answer.curve || [];
        this.answer = answer;
        this.words.textContent = answer.words || (answer.detail ?? (answer.problems?.length ? "This price is not complete yet." : ""));
        this.empty.hidden = curve.length > 0;
        if (!curve.length && answer.no_curve) this.empty.textContent = answer.no_curve;
        this.warnings.replaceChildren(...(answer.warnings || []).map((words) => make("p", { class: "mb-warning" }, words)));
        this.aboutCurve(answer);
        if (this.unitLabel) this.unitLabel.textContent = answer.units || "";
        const step = Math.max(1, Math.ceil(curve.length / 24));
        const told = curve.filter((point, place) => point.bound || point.beyond || place % step === 0 || place === curve.length - 1);
        this.figures.replaceChildren(...told.map(({ words }) => make("tr", {}, make("td", {}, words[0]), ...words.slice(1).map((text) => make("td", { class: "num" }, text)))));
        if (answer.needs && this.mode !== "customer" && this.typedAs(answer.needs.kind, answer.needs.dimensions, answer.needs.rows, answer.needs.quantity)) return this.soon(0);
        if (answer.problems?.length === 0) this.showExample(answer.example || {});
        else this.result.replaceChildren();
        this.draw();
        return undefined;
    }

    // A matrix is drawn for one of its cells, which can be chosen.
    aboutCurve(answer) {
        const make = Meterbook.make;
        const rows = answer.needs?.kind === "cells" ? answer.needs.rows : [];
        const key = JSON.stringify([answer.about, rows]);
        if (this.aboutKey === key) return;
        this.aboutKey = key;
        if (!rows.length) return this.about.replaceChildren(answer.about || "");
        const select = make("select", { class: "mb-input mb-short", "aria-label": "Cell that is drawn", form: "mb-no-form", onchange: () => { this.cell = rows[select.selectedIndex]; this.soon(0); } });
        const chosen = JSON.stringify(this.cell);
        for (const row of rows) select.append(make("option", { selected: JSON.stringify(row) === chosen }, row.map((value) => value || "…").join(" · ")));
        return this.about.replaceChildren("Drawn for ", select);
    }

    showExample(example) {
        const make = Meterbook.make;
        if (example.problem) return this.result.replaceChildren(make("p", { class: "mb-muted" }, example.problem));
        if (!example.steps) return this.result.replaceChildren();
        const rows = example.steps.map((step) => make("tr", {}, make("td", {}, step.label), make("td", { class: "num" }, step.amount)));
        return this.result.replaceChildren(make("p", { class: "mb-example-said" }, example.said),
            make("table", { class: "mb-table mb-example-steps" }, make("tbody", {}, ...rows), make("tfoot", {}, make("tr", { class: "total" }, make("td", {}, "Total"), make("td", { class: "num" }, example.total)))));
    }

    draw() {
        const curve = this.answer?.curve || [];
        if (!curve.length || !this.root.isConnected) { this.chart?.destroy(); this.chart = null; return; }
        const style = getComputedStyle(document.documentElement);
        const dark = document.documentElement.classList.contains("dark");
        const colour = (name) => style.getPropertyValue(`--color-${name}`).trim();
        const line = dark ? colour("primary-400") : colour("primary-600");
        const grey = dark ? "#9ca3af" : "#6b7280";
        const rule = dark ? "rgb(255 255 255 / .07)" : "rgb(0 0 0 / .07)";
        const usable = this.log ? curve.filter((point) => Number(point.x) > 0) : curve;
        // The picture only; exact numbers are in the table and in the worked example.
        const totals = usable.map((point) => ({ x: Number(point.x), y: Number(point.y), words: point.words, bound: point.bound }));
        const next = usable.filter((point) => point.next !== null).map((point) => ({ x: Number(point.x), y: Number(point.next), words: point.words }));
        const type = this.log ? "logarithmic" : "linear";
        const short = (value) => new Intl.NumberFormat("en", { notation: "compact", maximumSignificantDigits: 3 }).format(value);
        const ticks = { color: grey, maxTicksLimit: 6, maxRotation: 0, callback: (value) => short(value), font: { size: 11 } };
        const data = { datasets: [
            { label: "Total", data: totals, borderColor: line, backgroundColor: `color-mix(in oklab, ${line} 12%, transparent)`, fill: !this.log, borderWidth: 2, tension: 0, pointRadius: totals.map((point) => (point.bound ? 3.5 : 0)), pointBackgroundColor: line, pointHitRadius: 12, yAxisID: "y" },
            { label: "The next unit", data: next, borderColor: "#d97706", borderWidth: 1.5, borderDash: [4, 3], stepped: "before", pointRadius: 0, yAxisID: "y2" },
        ] };
        const options = {
            animation: false, responsive: true, maintainAspectRatio: false, interaction: { mode: "nearest", axis: "x", intersect: false },
            plugins: { legend: { display: false }, tooltip: { displayColors: false, filter: (item) => item.datasetIndex === 0, callbacks: { title: (items) => items[0]?.raw.words[0], label: (item) => [`Total ${item.raw.words[1]}`, ...(item.raw.words[2] ? [`Next unit ${item.raw.words[2]}`] : []), ...(item.raw.words[3] ? [`On average ${item.raw.words[3]}`] : [])] } } },
            scales: {
                x: { type, ticks, grid: { display: false }, border: { color: rule }, max: totals[totals.length - 1].x },
                y: { type, beginAtZero: !this.log, ticks, grid: { color: rule }, border: { display: false } },
                y2: { type: "linear", position: "right", display: next.length > 0, beginAtZero: true, grace: "10%", ticks: { ...ticks, color: "#d97706" }, grid: { display: false }, border: { display: false } },
            },
        };
        this.nextHead.hidden = false;
        if (this.chart) { this.chart.destroy(); }
        Chart.defaults.font.family = "Inter";
        this.chart = new Chart(this.canvas, { type: "line", data, options });
    }
};
