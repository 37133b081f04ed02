// The editor of a charge's prices. What is saved is the JSON beside it; every rule is the server's, which names the place
// of what is wrong. Here are only rows, fields and words.
"use strict";

const Meterbook = (window.Meterbook ||= {});

Meterbook.make = (tag, attributes = {}, ...children) => {
    const made = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) {
        if (value === undefined || value === null || value === false) continue;
        if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
        else made.setAttribute(name, value === true ? "" : value);
    }
    made.append(...children.filter((child) => child !== null && child !== undefined));
    return made;
};

(() => {
    const make = Meterbook.make;
    const TIERS = { unit_amount: "Price per {unit}", flat_amount: "Flat amount", package_size: "In blocks of" };
    const RATES = { rate: "Rate, %", flat_amount: "Flat amount" };
    const twoTiers = (first, second, bound = "1000") => () => ({ tiers: [{ up_to: bound, ...first }, { up_to: null, ...second }] });

    // Title, sentence, picture (a path in 48 × 28), what a new one has, and its fields or the columns of its tiers.
    const MODELS = {
        flat: { title: "Flat", says: "One amount a period, whatever is used.", picture: "M4 12H44", start: () => ({ amount: "100" }), fields: [["amount", "Amount a period", "money"]] },
        per_unit: { title: "Per unit", says: "The same price for every {unit}.", picture: "M4 25L44 5", start: () => ({ unit_amount: "1" }), fields: [["unit_amount", "Price per {unit}", "money"]] },
        graduated: { title: "Graduated", says: "Each tier has its own price: the first 1,000 at one, what comes after at the next. The total never jumps unless a tier has a flat amount.", picture: "M4 25L16 9L44 3", start: twoTiers({ unit_amount: "0.10" }, { unit_amount: "0.08" }), tiers: TIERS },
        volume: { title: "Volume", says: "Everything at the price of the tier that is reached: use more, and every {unit} gets cheaper. The total may fall at a bound.", picture: "M4 25L22 8V14L44 5", start: twoTiers({ unit_amount: "0.10" }, { unit_amount: "0.08" }), tiers: TIERS },
        package: { title: "Package", says: "By the package: 2,001 in packages of 1,000 are three.", picture: "M4 24H14V17H24V10H34V4H44", start: () => ({ package_size: "1000", amount: "10" }), fields: [["package_size", "Package of", "quantity"], ["amount", "Price of a package", "money"], ["round", "A begun package", "choice", { "": "Counts whole", down: "Does not count" }]] },
        stairstep: { title: "Stairstep", says: "One amount for each size: up to 100 this much, up to 500 that much.", picture: "M4 22H16V14H30V6H44", start: twoTiers({ flat_amount: "50" }, { flat_amount: "200" }, "100"), tiers: { flat_amount: "Amount" } },
        percentage: { title: "Percentage", says: "A share of the value of each event, such as 2.9 % of a payment plus 0.30.", picture: "M12 8m-3 0a3 3 0 1 0 6 0a3 3 0 1 0 -6 0M36 20m-3 0a3 3 0 1 0 6 0a3 3 0 1 0 -6 0M34 5L14 23", start: () => ({ rate: "2.9" }), fields: [["rate", "Rate", "percent"], ["fixed_amount", "Plus, per event", "money", null, true], ["free_events", "Free events", "quantity", null, true], ["free_amount", "Free value", "money", null, true], ["minimum_per_event", "At least, per event", "money", null, true], ["maximum_per_event", "At most, per event", "money", null, true]] },
        graduated_percentage: { title: "Graduated %", says: "A share of the value, with a rate for each tier.", picture: "M4 25L18 12L44 6M36 18L44 26", start: twoTiers({ rate: "3" }, { rate: "2" }, "10000"), tiers: RATES },
        volume_percentage: { title: "Volume %", says: "A share of the whole value, at the rate of the tier that is reached.", picture: "M4 25L22 9V14L44 6M36 18L44 26", start: twoTiers({ rate: "3" }, { rate: "2" }, "10000"), tiers: RATES },
        matrix: { title: "Matrix", says: "A price for each kind, such as model and region: type the cells, or paste them from a spreadsheet.", picture: "M6 4H42V24H6ZM6 11H42M6 17.5H42M18 4V24M30 4V24", start: () => ({ dimensions: [], cells: [], default: null }) },
        dynamic: { title: "Dynamic", says: "Events bring their own price; they are added up and multiplied by a factor.", picture: "M4 24L12 14L18 19L28 6L34 12L44 4", start: () => ({}), fields: [["multiplier", "Times", "quantity", null, true]] },
    };
    const OWN = ["amount", "unit_amount", "tiers", "flat_at_zero", "package_size", "round", "rate", "fixed_amount", "free_events", "free_amount", "minimum_per_event", "maximum_per_event", "dimensions", "cells", "default", "multiplier"];
    const GROUPED = /^[1-9]\d{0,2}(,\d{3})+(\.\d*)?$/;
    const clean = (text) => (GROUPED.test(text.trim()) ? text.trim().replaceAll(",", "") : text.trim());
    const shown = (value) => (value === undefined || value === null ? "" : String(value));
    const isObject = (value) => value !== null && typeof value === "object" && !Array.isArray(value);
    const put = (object, key, value) => { if (value === "") delete object[key]; else object[key] = value; };
    const icon = (name) => make("span", { class: "material-symbols-outlined", "aria-hidden": "true" }, name);

    Meterbook.PriceEditor = class {
        // `host`: textarea, models, pasteUrl, currencies(), changed(price).
        constructor(host) {
            this.host = host;
            this.unit = host.unit || "unit";
            this.dimensions = host.dimensions || [];
            this.place = 0;
            this.asJson = false;
            this.kept = new Map(); // what a model had before another was chosen
            this.root = make("div", { class: "mb-editor" });
            this.read();
            this.render();
        }

        get price() { return this.prices?.[this.place]; }

        read() {
            const text = this.host.textarea.value.trim();
            try {
                const given = text ? JSON.parse(text) : { model: this.host.start, currency: "USD", ...MODELS[this.host.start].start() };
                const list = Array.isArray(given) ? given : [given];
                if (!list.length || !list.every(isObject)) throw new Error("write one price, or a list of prices");
                this.prices = list;
                this.unreadable = "";
                if (!text) this.write();
            } catch (error) {
                this.prices = null;
                this.unreadable = `This cannot be read: ${error.message}.`;
            }
            this.place = Math.min(this.place, (this.prices?.length || 1) - 1);
        }

        write() {
            this.host.textarea.value = JSON.stringify(this.prices.length === 1 ? this.prices[0] : this.prices, null, 2);
        }

        commit() {
            this.write();
            this.host.changed();
        }

        // Structure changed: draw again, and put the cursor where the work goes on.
        redraw(focus) {
            this.commit();
            this.render();
            const target = focus && this.root.querySelector(`[data-path="${CSS.escape(focus)}"]`);
            if (target) { target.focus(); target.select?.(); }
        }

        render() {
            const json = make("button", { type: "button", class: "mb-link", onclick: () => this.toggleJson() }, this.asJson ? "Edit in rows" : "Edit as JSON");
            const head = make("div", { class: "mb-editor-head" }, this.currencyTabs(), json);
            this.general = make("div", { class: "mb-problem-list", role: "alert" });
            this.host.jsonBox.hidden = !this.asJson && !this.unreadable;
            if (this.asJson || this.unreadable) {
                this.root.replaceChildren(head, this.general, this.host.jsonBox);
                if (this.unreadable) this.general.append(make("p", { class: "mb-problem" }, `${this.unreadable} Mend it below.`));
                return;
            }
            this.root.replaceChildren(head, this.modelTiles(), this.general, ...this.modelBody(this.price, ""), this.adjustments(), this.host.jsonBox);
        }

        toggleJson() {
            if (this.asJson) this.read();
            if (this.asJson && this.unreadable) return this.render();
            this.asJson = !this.asJson;
            this.render();
            if (this.asJson) this.host.textarea.focus();
        }

        typedJson() {
            this.read();
            this.general.replaceChildren(...(this.unreadable ? [make("p", { class: "mb-problem" }, this.unreadable)] : []));
            this.host.changed();
        }

        currencyTabs() {
            const tabs = make("div", { class: "mb-currencies", role: "group", "aria-label": "Currency" });
            const drop = () => { this.prices.splice(this.place, 1); this.place = 0; this.redraw(); };
            (this.prices || []).forEach((price, place) => {
                const code = shown(price.currency) || "USD";
                tabs.append(make("button", { type: "button", class: "mb-tab", "aria-pressed": place === this.place ? "true" : "false", onclick: () => { this.place = place; this.render(); this.host.shown(); } }, code));
                if (place === this.place && this.prices.length > 1 && !this.asJson) tabs.append(make("button", { type: "button", class: "mb-icon mb-drop", title: `Remove the price in ${code}`, "aria-label": `Remove the price in ${code}`, onclick: drop }, icon("close")));
            });
            if (!this.prices || this.asJson) return tabs;
            const used = new Set(this.prices.map((price) => price.currency || "USD"));
            const select = make("select", { class: "mb-input mb-add-currency", "aria-label": "Add a price in another currency", onchange: () => {
                this.prices.push({ ...structuredClone(this.price), currency: select.value });
                this.place = this.prices.length - 1;
                this.redraw();
            } }, make("option", { value: "" }, "+ Currency"));
            for (const code of this.host.currencies) if (!used.has(code)) select.append(make("option", {}, code));
            tabs.append(select);
            return tabs;
        }

        modelTiles() {
            const model = MODELS[this.price.model];
            const name = `mb-model-${Meterbook.count = (Meterbook.count || 0) + 1}`;
            const tiles = make("div", { class: "mb-models", role: "radiogroup", "aria-label": "How it is priced", "data-path": "model" });
            for (const key of this.host.models) {
                const each = MODELS[key];
                const radio = make("input", { type: "radio", name, value: key, form: "mb-no-form", checked: key === this.price.model, onchange: () => this.choose(key) });
                const picture = document.createElementNS("http://www.w3.org/2000/svg", "svg");
                picture.setAttribute("viewBox", "0 0 48 28");
                picture.setAttribute("aria-hidden", "true");
                picture.append(document.createElementNS("http://www.w3.org/2000/svg", "path"));
                picture.firstChild.setAttribute("d", each.picture);
                tiles.append(make("label", { class: "mb-tile", title: this.named(each.says) }, radio, picture, make("span", {}, each.title)));
            }
            return make("div", {}, tiles, make("p", { class: "mb-model-says" }, model ? this.named(model.says) : "Choose how it is priced."));
        }

        choose(model) {
            const price = this.price;
            this.kept.set(`${this.place} ${price.model}`, Object.fromEntries(OWN.filter((key) => key in price).map((key) => [key, price[key]])));
            const before = { ...price };
            for (const key of OWN) delete price[key];
            price.model = model;
            const start = MODELS[model].start();
            const sameTiers = before.tiers && MODELS[model].tiers && Object.keys(MODELS[model].tiers)[0] === Object.keys(MODELS[before.model]?.tiers || { "": 0 })[0];
            Object.assign(price, this.kept.get(`${this.place} ${model}`) || start);
            if (sameTiers) price.tiers = before.tiers;
            else if (before.model === "per_unit" && start.tiers?.[0].unit_amount) start.tiers.forEach((tier) => { tier.unit_amount = before.unit_amount ?? tier.unit_amount; });
            if (model === "matrix" && !price.dimensions.length) price.dimensions = this.dimensions.slice(0, 1);
            this.redraw();
            this.root.querySelector(".mb-tile input:checked")?.focus();
        }

        named(text) { return text.replaceAll("{unit}", this.unitName()); }

        unitName() {
            const divisor = this.price?.unit?.divide_by;
            return divisor && divisor !== "1" ? `${grouped(divisor)} ${plural(this.unit)}` : this.unit;
        }

        modelBody(price, path) {
            const model = MODELS[price.model];
            if (!model) return [];
            if (price.model === "matrix") return [this.matrix(price)];
            if (model.tiers) return [this.tiers(price, path, model.tiers)];
            return [make("div", { class: "mb-fields" }, ...model.fields.map((spec) => this.field(price, path, ...spec)))];
        }

        // A labelled field bound to a key of `object`, whose place below the price is `path`.
        field(object, path, key, label, kind, choices, optional) {
            const at = path ? `${path}.${key}` : key;
            const id = `mb-f${Meterbook.count = (Meterbook.count || 0) + 1}`;
            let input;
            if (kind === "choice") {
                input = make("select", { id, class: "mb-input", "data-path": at, onchange: () => { put(object, key, input.value); this.commit(); } });
                for (const [value, words] of Object.entries(choices)) input.append(make("option", { value, selected: shown(object[key]) === value }, words));
            } else input = this.input(object, at, key, { id, placeholder: optional ? "none" : "" });
            const before = kind === "money" ? make("span", { class: "mb-affix" }, this.amountUnit()) : null;
            const after = kind === "percent" ? make("span", { class: "mb-affix" }, "%") : null;
            return make("div", { class: "mb-field" }, make("label", { for: id }, this.named(label)), make("div", { class: "mb-affixed" }, before, input, after));
        }

        amountUnit() { return this.price.custom_unit?.code || this.price.currency || "USD"; }

        input(object, path, key, attributes = {}) {
            const input = make("input", { type: "text", inputmode: "decimal", autocomplete: "off", class: "mb-input mb-number", "data-path": path, ...attributes });
            input.value = spaced(object[key]);
            input.addEventListener("input", () => { put(object, key, clean(input.value)); this.commit(); });
            input.addEventListener("focus", () => { if (input.value !== clean(input.value)) { input.value = clean(input.value); input.select(); } });
            input.addEventListener("blur", () => { input.value = spaced(clean(input.value)); });
            return input;
        }

        tiers(price, path, columns) {
            const list = Array.isArray(price.tiers) ? price.tiers : (price.tiers = []);
            const used = Object.keys(columns).filter((key) => key !== "package_size" || list.some((tier) => isObject(tier) && "package_size" in tier) || this.blocks === price);
            const at = (key) => (path ? `${path}.${key}` : key);
            const body = make("tbody");
            const base = at("tiers");
            list.forEach((tier, place) => {
                if (!isObject(tier)) return;
                const row = `${base}[${place}]`;
                const before = place ? list[place - 1]?.up_to : null;
                const from = make("td", { class: "mb-from" }, place ? `above ${grouped(before)}` : "from 0");
                const open = tier.up_to === null && place === list.length - 1;
                const bound = open ? make("span", { class: "mb-open", "data-path": `${row}.up_to` }, "no end") : this.input(tier, `${row}.up_to`, "up_to", { "aria-label": `Tier ${place + 1}: up to` });
                if (!open) bound.addEventListener("input", () => { const next = body.querySelector(`[data-path="${base}[${place + 1}]"] .mb-from`); if (next) next.textContent = `above ${grouped(tier.up_to)}`; });
                const remove = make("button", { type: "button", class: "mb-icon", title: "Remove this tier", "aria-label": `Remove tier ${place + 1}`, onclick: () => {
                    list.splice(place, 1);
                    if (list.length) list[list.length - 1].up_to = null;
                    this.redraw(`${base}[${Math.max(0, place - 1)}].${used[0]}`);
                } }, icon("close"));
                body.append(make("tr", { "data-path": row }, from, make("td", {}, bound),
                    ...used.map((key) => make("td", {}, this.input(tier, `${row}.${key}`, key, { "aria-label": `Tier ${place + 1}: ${this.named(columns[key])}` }))),
                    make("td", {}, list.length > 1 ? remove : null)));
            });
            const add = () => {
                const last = list[list.length - 1] || {};
                const bound = Number(list[list.length - 2]?.up_to) || 500;
                list.splice(Math.max(0, list.length - 1), 0, { ...last, up_to: String(bound * 2) });
                if (list.length === 1) list.push({ ...list[0], up_to: null });
                this.redraw(`${base}[${list.length - 2}].up_to`);
            };
            body.addEventListener("keydown", (event) => this.moveInRows(event, body, add));
            const names = used.filter((key) => key !== "package_size");
            const paste = make("div", { class: "mb-paste", hidden: true });
            const open = (text) => this.openPaste(paste, "tiers", names, text, `up to, ${names.map((key) => this.named(columns[key]).toLowerCase()).join(", ")}; the last bound empty`, (rows) => {
                price.tiers = rows;
                if (rows.length) price.tiers[rows.length - 1].up_to = null;
                this.redraw();
            });
            body.addEventListener("paste", (event) => this.catchPaste(event, open));
            const head = make("tr", {}, make("th", { scope: "col" }, "From"), make("th", { scope: "col" }, "Up to and including"), ...used.map((key) => make("th", { scope: "col" }, this.named(columns[key]))), make("th", {}));
            const blocks = "package_size" in columns && !used.includes("package_size") ? make("button", { type: "button", class: "mb-link", onclick: () => { this.blocks = price; this.render(); } }, "Sell in blocks") : null;
            return make("div", { class: "mb-tiers", "data-path": base },
                make("table", { class: "mb-rows" }, make("thead", {}, head), body),
                make("div", { class: "mb-row-actions" }, make("button", { type: "button", class: "mb-link", onclick: add }, "Add a tier"), make("button", { type: "button", class: "mb-link", onclick: () => open("") }, "Paste from a spreadsheet"), blocks), paste);
        }

        // Enter and the arrows go through a column; Enter in the last row adds one.
        moveInRows(event, body, add) {
            const input = event.target.closest("input");
            if (!input || !["Enter", "ArrowDown", "ArrowUp"].includes(event.key)) return;
            event.preventDefault();
            const column = input.closest("td").cellIndex;
            const rows = [...body.rows].filter((row) => row.dataset.path);
            const next = rows[rows.indexOf(input.closest("tr")) + (event.key === "ArrowUp" ? -1 : 1)];
            if (next) next.cells[column]?.querySelector("input")?.focus();
            else if (event.key === "Enter") add();
        }

        catchPaste(event, open) {
            const text = event.clipboardData.getData("text");
            if (!/[\t\n]/.test(text.trim())) return;
            event.preventDefault();
            open(text);
        }

        matrix(price) {
            const dims = Array.isArray(price.dimensions) ? price.dimensions : (price.dimensions = []);
            const cells = Array.isArray(price.cells) ? price.cells : (price.cells = []);
            const box = make("div", { class: "mb-matrix" });
            const known = [...new Set([...this.dimensions, ...dims])];
            const chips = make("div", { class: "mb-dimensions", "data-path": "dimensions" }, make("span", { class: "mb-label" }, "Priced by"));
            for (const name of known) {
                const tick = make("input", { type: "checkbox", form: "mb-no-form", checked: dims.includes(name), disabled: !dims.includes(name) && dims.length >= 3, onchange: () => this.useDimension(price, name, tick.checked) });
                chips.append(make("label", { class: "mb-chip" }, tick, name));
            }
            const other = make("input", { type: "text", class: "mb-input mb-short", placeholder: "another property", "aria-label": "Another property of the events", onkeydown: (event) => { if (event.key === "Enter") { event.preventDefault(); event.target.blur(); } }, onchange: () => { if (other.value.trim()) this.useDimension(price, other.value.trim(), true); } });
            if (dims.length < 3) chips.append(other);
            box.append(chips);
            if (!dims.length) {
                box.append(make("p", { class: "mb-empty" }, "Choose what the price depends on: a dimension of the meter, such as model."));
                return box;
            }
            box.append(this.cellTable(price, dims, cells));
            return box;
        }

        useDimension(price, name, wanted) {
            price.dimensions = wanted ? [...price.dimensions, name] : price.dimensions.filter((each) => each !== name);
            for (const cell of price.cells) {
                if (!isObject(cell.when)) cell.when = {};
                if (wanted) cell.when[name] ??= "";
                else delete cell.when[name];
            }
            this.redraw();
        }

        cellTable(price, dims, cells) {
            const LIMIT = 200;
            const body = make("tbody");
            const draw = (count) => cells.slice(body.childElementCount, count).forEach((cell, offset) => body.append(...this.cellRow(price, dims, cell, body.querySelectorAll(":scope > tr[data-path]").length)));
            draw(LIMIT);
            const add = () => {
                const last = cells[cells.length - 1];
                cells.push({ when: Object.fromEntries(dims.map((name) => [name, ""])), price: last ? structuredClone(last.price) : { model: "per_unit", unit_amount: "1" } });
                this.redraw(`cells[${cells.length - 1}].when.${dims[0]}`);
            };
            body.addEventListener("keydown", (event) => this.moveInRows(event, body, add));
            const paste = make("div", { class: "mb-paste", hidden: true });
            const open = (text) => this.openPaste(paste, "cells", dims, text, `${dims.join(", ")}, price per ${this.unitName()}`, (rows, replace) => {
                const made = rows.map((row) => ({ when: row.when, price: { model: "per_unit", unit_amount: row.amount } }));
                const key = (cell) => JSON.stringify(dims.map((name) => cell.when[name]));
                const fresh = new Set(made.map(key));
                price.cells = replace ? made : [...cells.filter((cell) => !fresh.has(key(cell))), ...made];
                this.redraw();
            }, cells.length > 0);
            body.addEventListener("paste", (event) => this.catchPaste(event, open));
            const more = cells.length > LIMIT ? make("button", { type: "button", class: "mb-link", onclick: () => { draw(cells.length); more.remove(); } }, `Show all ${grouped(cells.length)} cells`) : null;
            const head = make("tr", {}, ...dims.map((name) => make("th", { scope: "col" }, name)), make("th", { scope: "col", class: "mb-price" }, `Price per ${this.unitName()}`), make("th", {}));
            const none = cells.length ? null : make("p", { class: "mb-empty" }, "No cells yet: add one, or paste a table of values and prices.");
            return make("div", { "data-path": "cells" }, make("div", { class: "mb-cells" }, make("table", { class: "mb-rows" }, make("thead", {}, head), body, make("tfoot", {}, ...this.defaultRow(price, dims)))), none,
                make("div", { class: "mb-row-actions" }, make("button", { type: "button", class: "mb-link", onclick: add }, "Add a cell"), make("button", { type: "button", class: "mb-link", onclick: () => open("") }, "Paste from a spreadsheet"), more), paste);
        }

        cellRow(price, dims, cell, place) {
            const row = `cells[${place}]`;
            if (!isObject(cell.when)) cell.when = {};
            const remove = make("button", { type: "button", class: "mb-icon", title: "Remove this cell", "aria-label": `Remove cell ${place + 1}`, onclick: () => { price.cells.splice(place, 1); this.redraw(); } }, icon("close"));
            const values = dims.map((name) => {
                const input = make("input", { type: "text", class: "mb-input", autocomplete: "off", "data-path": `${row}.when.${name}`, "aria-label": `Cell ${place + 1}: ${name}` });
                input.value = shown(cell.when[name]);
                input.addEventListener("input", () => { cell.when[name] = input.value.trim(); this.commit(); });
                return make("td", {}, input);
            });
            return this.cellPrice(cell, "price", `${row}.price`, (content, detail) => [make("tr", { "data-path": row }, ...values, make("td", {}, content), make("td", {}, remove)), detail], dims.length + 2);
        }

        // A cell's price: an amount where it is per unit, else its model, which opens to its own fields below the row.
        cellPrice(owner, key, path, rows, width) {
            const inner = owner[key];
            const simple = isObject(inner) && inner.model === "per_unit";
            const detail = make("tr", { class: "mb-inner", hidden: !(this.opened === inner && inner) });
            const choose = make("select", { class: "mb-input mb-cell-model", "aria-label": "How this cell is priced", "data-path": `${path}.model`, onchange: () => {
                const before = isObject(owner[key]) ? owner[key] : {};
                owner[key] = { model: choose.value, ...MODELS[choose.value].start(), ...(choose.value === "per_unit" && before.unit_amount ? { unit_amount: before.unit_amount } : {}) };
                this.opened = owner[key];
                this.redraw();
            } });
            for (const name of this.host.models) if (name !== "matrix") choose.append(make("option", { value: name, selected: inner?.model === name }, MODELS[name].title));
            const amount = simple ? this.input(inner, `${path}.unit_amount`, "unit_amount", { "aria-label": "Price" }) : make("button", { type: "button", class: "mb-link", onclick: () => { detail.hidden = !detail.hidden; this.opened = detail.hidden ? null : inner; } }, "Edit");
            if (isObject(inner) && !simple) detail.append(make("td", { colspan: width }, make("div", { class: "mb-inner-box" }, ...this.modelBody(inner, path))));
            return rows(make("div", { class: "mb-cell-price" }, amount, choose), simple ? null : detail).filter(Boolean);
        }

        defaultRow(price, dims) {
            const without = !isObject(price.default);
            const label = make("td", { colspan: dims.length, class: "mb-default" }, "All others");
            if (without) {
                return [make("tr", { "data-path": "default" }, label, make("td", {}, make("span", { class: "mb-muted" }, "no price: refused "), make("button", { type: "button", class: "mb-link", onclick: () => { price.default = { model: "per_unit", unit_amount: "1" }; this.redraw("default.unit_amount"); } }, "Set a price")), make("td", {}))];
            }
            const remove = make("button", { type: "button", class: "mb-icon", title: "No price for all others", "aria-label": "No price for all others", onclick: () => { price.default = null; this.redraw(); } }, icon("close"));
            return this.cellPrice(price, "default", "default", (content, detail) => [make("tr", { "data-path": "default" }, label, make("td", {}, content), make("td", {}, remove)), detail], dims.length + 2);
        }

        // Pasted text, what the server understood of it, and a button that uses it.
        openPaste(box, kind, names, text, columns, use, some = false) {
            const area = make("textarea", { class: "mb-input mb-code", rows: 5, placeholder: "Copy the rows in your spreadsheet, and paste them here", "aria-label": "Rows from a spreadsheet" });
            const found = make("div", { "aria-live": "polite" });
            const close = () => { box.hidden = true; box.replaceChildren(); };
            const read = async () => {
                if (!area.value.trim()) return found.replaceChildren();
                const answer = await Meterbook.post(this.host.pasteUrl, { kind, names, text: area.value });
                found.replaceChildren(...this.pasted(answer, kind, names, (rows, replace) => { close(); use(rows, replace); }, some));
                return undefined;
            };
            area.addEventListener("input", read);
            area.value = text;
            box.hidden = false;
            box.replaceChildren(make("p", { class: "mb-label" }, `Columns: ${columns}.`), area, found, make("button", { type: "button", class: "mb-link", onclick: close }, "Cancel"));
            area.focus();
            read();
        }

        pasted(answer, kind, names, use, some) {
            if (answer.problem || answer.detail) return [make("p", { class: "mb-problem" }, answer.problem || answer.detail)];
            const good = answer.rows.filter((row) => !row.problem);
            const bad = answer.rows.length - good.length;
            const keys = kind === "cells" ? [...names, "amount"] : ["up_to", ...names];
            const value = (row, key) => (kind === "cells" && key !== "amount" ? row.understood.when[key] : row.understood[key]);
            const body = make("tbody");
            for (const row of answer.rows.filter((each) => each.problem).concat(good).slice(0, 100)) {
                const cells = row.problem ? [make("td", { colspan: keys.length, class: "mb-problem" }, `${row.text}: ${row.problem}`)] : keys.map((key) => make("td", {}, value(row, key) === null ? "no end" : shown(value(row, key))));
                body.append(make("tr", {}, make("td", { class: "mb-muted" }, String(row.line)), ...cells));
            }
            const head = make("tr", {}, make("th", {}, "Line"), ...keys.map((key) => make("th", {}, key.replaceAll("_", " "))));
            const rows = good.map((row) => row.understood);
            const what = kind === "cells" ? "cell" : "tier";
            const words = `${good.length} ${what}${good.length === 1 ? "" : "s"}`;
            const button = (label, replace) => make("button", { type: "button", class: "mb-button mb-primary", disabled: !good.length, onclick: () => use(rows, replace) }, label);
            return [
                make("p", { class: "mb-understood" }, `${words} understood${bad ? `, ${bad} row${bad === 1 ? "" : "s"} not: mend ${bad === 1 ? "it" : "them"} above, or leave ${bad === 1 ? "it" : "them"} out` : ""}.`),
                make("div", { class: "mb-cells" }, make("table", { class: "mb-rows mb-read" }, make("thead", {}, head), body)),
                make("div", { class: "mb-row-actions" }, button(some ? `Replace all by these ${words}` : `Use ${good.length === 1 ? "this" : "these"} ${words}`, true), some ? button("Add and update", false) : null),
            ];
        }

        // What surrounds every model, in the order in which it is applied.
        adjustments() {
            const price = this.price;
            const rows = make("div", { class: "mb-adjustments" });
            const drop = (label, key) => make("button", { type: "button", class: "mb-icon", title: `Remove: ${label}`, "aria-label": `Remove: ${label}`, onclick: () => { delete price[key]; this.redraw(); } }, icon("close"));
            const row = (label, key, ...parts) => rows.append(make("div", { class: "mb-adjustment", "data-path": key }, make("span", { class: "mb-label" }, label), ...parts, drop(label, key)));
            const box = (...parts) => make("span", { class: "mb-affixed" }, ...parts);
            const affix = (text) => make("span", { class: "mb-affix" }, text);
            const choices = (object, path, key, given) => {
                const select = make("select", { class: "mb-input mb-short", "data-path": path, "aria-label": key, onchange: () => { put(object, key, select.value); this.commit(); } });
                for (const [value, words] of Object.entries(given)) select.append(make("option", { value, selected: shown(object[key]) === value }, words));
                return select;
            };
            if (isObject(price.unit)) {
                const divisor = this.input(price.unit, "unit.divide_by", "divide_by", { "aria-label": "Sold by" });
                divisor.addEventListener("change", () => this.render());
                row("Sold by", "unit", box(divisor, affix(plural(this.unit))), choices(price.unit, "unit.round", "round", { none: "parts count", up: "rounded up", down: "rounded down", half_up: "rounded half up" }));
            }
            if ("free_quantity" in price) row("Free", "free_quantity", box(this.input(price, "free_quantity", "free_quantity", { "aria-label": "Free quantity" }), affix(price.unit?.divide_by && price.unit.divide_by !== "1" ? `× ${this.unitName()}` : plural(this.unit))));
            (Array.isArray(price.discounts) ? price.discounts : []).forEach((discount, place) => {
                if (!isObject(discount)) return;
                const percent = !("amount" in discount);
                const kind = make("select", { class: "mb-input mb-short", "aria-label": "Kind of discount", onchange: () => { price.discounts[place] = kind.value === "%" ? { percentage: "10" } : { amount: "10" }; this.redraw(`discounts[${place}].${kind.value === "%" ? "percentage" : "amount"}`); } }, make("option", { selected: percent }, "%"), make("option", { selected: !percent }, this.amountUnit()));
                rows.append(make("div", { class: "mb-adjustment", "data-path": `discounts[${place}]` }, make("span", { class: "mb-label" }, place ? "then less" : "Less"), box(this.input(discount, `discounts[${place}].${percent ? "percentage" : "amount"}`, percent ? "percentage" : "amount", { "aria-label": "Discount" }), kind),
                    make("button", { type: "button", class: "mb-icon", title: "Remove this discount", "aria-label": "Remove this discount", onclick: () => { price.discounts.splice(place, 1); if (!price.discounts.length) delete price.discounts; this.redraw(); } }, icon("close"))));
            });
            for (const [key, label] of [["minimum_amount", "At least"], ["maximum_amount", "At most"]]) if (key in price) row(label, key, box(affix(this.amountUnit()), this.input(price, key, key, { "aria-label": label })));
            if (isObject(price.custom_unit)) {
                const code = make("input", { type: "text", class: "mb-input mb-short", "data-path": "custom_unit.code", "aria-label": "Unit", list: "mb-custom-units", onchange: () => this.render() });
                code.value = shown(price.custom_unit.code);
                code.addEventListener("input", () => { put(price.custom_unit, "code", code.value.trim()); const known = this.host.units?.[code.value.trim()]; if (known !== undefined) price.custom_unit.places = known; this.commit(); });
                row("Amounts in", "custom_unit", code, box(affix("worth"), this.input(price.custom_unit, "custom_unit.rate", "rate", { "aria-label": "Worth", placeholder: "by date" }), affix(price.currency || "USD")));
            }
            return make("div", {}, rows, this.adders());
        }

        adders() {
            const price = this.price;
            const bar = make("div", { class: "mb-adders" });
            const offer = (label, test, key, value, focus = key) => { if (test) bar.append(make("button", { type: "button", class: "mb-add", onclick: () => { price[key] = typeof value === "function" ? value() : value; this.redraw(focus); } }, icon("add"), label)); };
            offer("Unit conversion", !("unit" in price), "unit", { divide_by: "1000" }, "unit.divide_by");
            offer("Free quantity", !("free_quantity" in price), "free_quantity", "100");
            offer("Discount", true, "discounts", () => [...(price.discounts || []), { percentage: "10" }], `discounts[${(price.discounts || []).length}].percentage`);
            if (this.host.adjusters.includes("minimum_amount")) offer("Minimum", !("minimum_amount" in price), "minimum_amount", "10");
            if (this.host.adjusters.includes("maximum_amount")) offer("Maximum", !("maximum_amount" in price), "maximum_amount", "1000");
            if (this.host.adjusters.includes("custom_unit")) offer("Credits or another unit", !("custom_unit" in price), "custom_unit", () => { const [code = "credits", places = 2] = Object.entries(this.host.units || {})[0] || []; return { code, places }; }, "custom_unit.code");
            return bar;
        }

        // The server's problems, each at the field or row that it concerns.
        show(problems) {
            this.root.querySelectorAll(".mb-live").forEach((old) => old.remove());
            this.root.querySelectorAll("[aria-invalid]").forEach((field) => { field.removeAttribute("aria-invalid"); field.removeAttribute("aria-describedby"); });
            for (const { path, message } of problems) {
                const id = `mb-p${Meterbook.count = (Meterbook.count || 0) + 1}`;
                const line = make("p", { class: "mb-problem mb-live", id }, message);
                const target = this.asJson ? null : this.targetOf(path);
                if (!target) {
                    if (path) line.textContent = `${path}: ${message}`;
                    this.general.append(line);
                    continue;
                }
                const field = target.matches("input, select") ? target : target.querySelector("input, select");
                if (field) { field.setAttribute("aria-invalid", "true"); field.setAttribute("aria-describedby", id); }
                const tr = target.closest("tr");
                if (tr) tr.after(make("tr", { class: "mb-live" }, make("td", { colspan: 9 }, line)));
                else (target.closest(".mb-field, .mb-adjustment") || target).append(line);
            }
        }

        targetOf(path) {
            for (let at = path; at; at = at.replace(/(\.[^.[\]]+|\[\d+\]|^[^.[\]]+)$/, "")) {
                const found = this.root.querySelector(`[data-path="${CSS.escape(at)}"]`);
                if (found) return found;
                if (!/[.[]/.test(at)) return null;
            }
            return null;
        }

        heed(unit, dimensions) {
            if (unit === this.unit && String(dimensions) === String(this.dimensions)) return;
            this.unit = unit;
            this.dimensions = dimensions;
            if (!this.root.contains(document.activeElement)) this.render();
        }
    };

    // 1000000 reads as 1,000,000 while nobody types in it.
    function spaced(value) { return /^\d{4,}(\.\d*)?$/.test(shown(value)) ? grouped(value) : shown(value); }

    function grouped(value) {
        const [whole, decimals] = shown(value).split(".");
        return whole.replace(/\B(?=(\d{3})+(?!\d))/g, ",") + (decimals ? `.${decimals}` : "") || "?";
    }

    function plural(name) {
        if (name.length < 3 || name !== name.toLowerCase() || name.endsWith("s")) return name;
        return /[^aeiou]y$/.test(name) ? `${name.slice(0, -1)}ies` : name + (/(x|ch|sh)$/.test(name) ? "es" : "s");
    }
})();
