// The charges of a draft version: cards that open to an editor of the price beside what it costs. Nothing is saved before
// Save is pressed; leaving with changes is warned of.
"use strict";

document.addEventListener("DOMContentLoaded", () => {
    const root = document.querySelector("[data-builder]");
    if (root) new Meterbook.PlanBuilder(root);
});

window.Meterbook ||= {};

Meterbook.PlanBuilder = class {
    constructor(root) {
        this.root = root;
        this.form = root.closest("form");
        this.list = root.querySelector("[data-charges]");
        this.total = root.querySelector(`[name="${root.dataset.prefix}-TOTAL_FORMS"]`);
        this.facts = JSON.parse(document.getElementById("builder-facts").textContent);
        const units = Object.keys(this.facts.units).map((code) => Meterbook.make("option", { value: code }));
        root.append(Meterbook.make("datalist", { id: "mb-custom-units" }, ...units));
        this.list.querySelectorAll(":scope > [data-charge]").forEach((card) => this.adopt(card));
        root.querySelectorAll("[data-add-charge], [data-keys]").forEach((part) => { part.hidden = false; });
        root.querySelectorAll("[data-add]").forEach((button) => button.addEventListener("click", () => this.add(button.dataset.add)));
        this.guard();
        this.number();
    }

    guard() {
        const dirty = () => { this.dirty = true; };
        this.form.addEventListener("input", dirty);
        this.form.addEventListener("change", dirty);
        this.form.addEventListener("submit", () => { this.dirty = false; });
        window.addEventListener("beforeunload", (event) => { if (this.dirty) event.preventDefault(); });
        document.addEventListener("keydown", (event) => {
            if (event.key.toLowerCase() !== "s" || !(event.ctrlKey || event.metaKey)) return;
            event.preventDefault();
            document.activeElement?.blur?.();
            const again = this.form.querySelector("[name=_continue]") || document.querySelector("[name=_continue]");
            this.form.requestSubmit(again?.form === this.form ? again : undefined);
        });
        // Enter in a field never sends the whole version by accident.
        this.root.addEventListener("keydown", (event) => { if (event.key === "Enter" && event.target.matches("input:not([type=submit])")) event.preventDefault(); });
    }

    named(card, name) { return card.querySelector(`[name="${card.dataset.prefix}-${name}"]`); }
    kind(card) { return card.querySelector(`[name="${card.dataset.prefix}-kind"]:checked`)?.value || "recurring"; }

    adopt(card) {
        const details = card.querySelector(":scope > details");
        card.querySelector("[data-tools]").hidden = false;
        card.querySelector("[data-remove-box]")?.setAttribute("hidden", "");
        this.named(card, "position")?.closest(".mb-field").setAttribute("hidden", "");
        const name = this.named(card, "name"), code = this.named(card, "code_name");
        name.addEventListener("input", () => {
            card.querySelector("[data-title]").textContent = name.value || "New charge";
            if (card.dataset.fresh && !code.dataset.typed) code.value = name.value.toLowerCase().normalize("NFKD").replace(/[^a-z0-9]+/g, "-").replace(/^-|-$/g, "").slice(0, 60);
        });
        code.addEventListener("input", () => { code.dataset.typed = "1"; });
        card.querySelectorAll(`[name="${card.dataset.prefix}-kind"]`).forEach((radio) => radio.addEventListener("change", () => this.kindChanged(card)));
        card.querySelector("[data-up]").addEventListener("click", () => this.move(card, -1));
        card.querySelector("[data-down]").addEventListener("click", () => this.move(card, 1));
        card.querySelector("[data-copy]").addEventListener("click", () => this.copy(card));
        card.querySelector("[data-remove]").addEventListener("click", () => this.remove(card, true));
        card.querySelector("[data-undo]").addEventListener("click", () => this.remove(card, false));
        card.querySelector(".mb-more").addEventListener("change", () => { this.terms(card); card.trial?.soon(0); });
        details.addEventListener("toggle", () => { if (details.open) this.open(card); });
        this.kindChanged(card);
        this.terms(card);
        if (details.open) this.open(card);
    }

    kindChanged(card) {
        const usage = this.kind(card) === "usage";
        card.classList.toggle("is-usage", usage);
        card.classList.toggle("is-fee", !usage);
        card.querySelector("[data-kind]").textContent = usage ? "Usage" : "Fee";
        // What a kind does not have is emptied where it is hidden, so that nothing unseen is saved.
        if (usage) this.named(card, "pay").value = "in_arrears";
        else {
            this.named(card, "window").value = "";
            const meter = this.named(card, "meter");
            if (meter.value) { meter.value = ""; window.django.jQuery(meter).trigger("change"); }
        }
        card.trial?.soon(0);
    }

    // What differs from the contract's own way, said beside the closed fold.
    terms(card) {
        const said = [];
        for (const name of ["cadence", "proration", "window", "revenue_treatment"]) {
            const select = this.named(card, name);
            if (select?.value) said.push(select.selectedOptions[0].textContent.toLowerCase());
        }
        for (const name of ["invoice_group", "tax_code"]) if (this.named(card, name)?.value) said.push(this.named(card, name).value);
        card.querySelector("[data-terms]").textContent = said.length ? said.join(" · ") : "as the contract says";
    }

    open(card) {
        if (card.editor) return;
        const pricing = card.querySelector("[data-pricing]");
        const jsonBox = pricing.querySelector("[data-json]");
        const textarea = jsonBox.querySelector("textarea");
        jsonBox.querySelectorAll("[data-server-problem]").forEach((line) => line.remove());
        const meter = this.named(card, "meter");
        const usage = () => this.kind(card) === "usage";
        const trial = new Meterbook.PriceTrial({
            priceUrl: this.root.dataset.priceUrl, customersUrl: this.facts.customers, month: this.facts.month, quantity: usage() ? "1500" : "1",
            price: () => card.editor.price ?? null, meter: () => (usage() ? meter.value : ""), window: () => this.named(card, "window").value, feeUnit: () => (usage() ? "" : this.named(card, "unit").value.trim()),
            told: (answer) => this.told(card, answer),
        });
        card.trial = trial;
        card.editor = new Meterbook.PriceEditor({
            textarea, jsonBox, pasteUrl: this.root.dataset.pasteUrl, models: this.facts.models, adjusters: this.facts.adjusters, currencies: this.facts.currencies, units: this.facts.units,
            unit: usage() ? card.dataset.unit : this.named(card, "unit").value, dimensions: (card.dataset.dimensions || "").split(",").filter(Boolean), start: usage() ? "per_unit" : "flat",
            changed: () => { this.dirty = true; trial.soon(); }, shown: () => trial.soon(0),
        });
        textarea.addEventListener("input", () => card.editor.typedJson());
        window.django.jQuery(meter).on("change", () => { this.dirty = true; trial.soon(0); });
        this.named(card, "unit").addEventListener("input", () => trial.soon());
        pricing.replaceChildren(card.editor.root, trial.root);
        if (meter.matches("[class*=admin-autocomplete]") && !meter.classList.contains("select2-hidden-accessible")) window.django.jQuery(meter).djangoAdminSelect2();
        trial.soon(0);
    }

    told(card, answer) {
        const wrong = answer.problems?.length > 0;
        card.editor.show(answer.detail ? [{ path: "", message: answer.detail }] : answer.problems || []);
        if (answer.unit !== undefined) card.editor.heed(answer.unit, answer.dimensions || []);
        if (answer.words) card.querySelector("[data-words]").textContent = answer.words;
        card.querySelector("[data-flag]").hidden = !wrong && !card.querySelector("details .mb-field > .mb-problem:not(.mb-live)");
    }

    add(kind, values) {
        const place = Number(this.total.value);
        const template = this.root.querySelector("[data-empty-charge]").innerHTML.replaceAll("__prefix__", place);
        const holder = document.createElement("div");
        holder.innerHTML = template;
        const card = holder.firstElementChild;
        card.dataset.fresh = "1";
        this.total.value = place + 1;
        this.list.append(card);
        card.querySelectorAll(`[name="${card.dataset.prefix}-kind"]`).forEach((radio) => { radio.checked = radio.value === kind; });
        const area = this.named(card, "price_json");
        area.value = values?.price_json || "";
        if (values) for (const [name, value] of Object.entries(values)) { const field = this.named(card, name); if (field && name !== "kind") field.value = value; }
        this.adopt(card);
        card.dispatchEvent(new CustomEvent("formset:added", { bubbles: true, detail: { formsetName: this.root.dataset.prefix } }));
        this.number();
        this.dirty = true;
        this.named(card, "name").focus();
        return card;
    }

    copy(card) {
        const values = {};
        for (const name of ["name", "pay", "unit", "cadence", "proration", "window", "invoice_group", "tax_code", "revenue_treatment", "price_json"]) values[name] = this.named(card, name)?.value || "";
        values.name = `${values.name} (copy)`;
        values.code_name = "";
        const made = this.add(this.kind(card), values);
        const from = this.named(card, "meter"), to = this.named(made, "meter");
        if (from.value) {
            to.append(new Option(from.selectedOptions[0].textContent, from.value, true, true));
            window.django.jQuery(to).trigger("change");
        }
        made.querySelector("[data-title]").textContent = values.name;
        this.named(made, "name").dispatchEvent(new Event("input", { bubbles: true }));
        made.scrollIntoView({ block: "center" });
    }

    // A saved charge is struck out until the version is saved; one that was never saved goes at once.
    remove(card, gone) {
        const box = this.named(card, "DELETE");
        this.dirty = true;
        if (card.dataset.fresh && gone) {
            box.checked = true;
            card.hidden = true;
        } else {
            box.checked = gone;
            card.classList.toggle("is-removed", gone);
            card.querySelector("[data-removed]").hidden = !gone;
            card.querySelector("[data-removed] > span").textContent = `“${this.named(card, "name").value || "New charge"}”`;
            card.querySelector(":scope > details").hidden = gone;
            card.querySelector("[data-tools]").hidden = gone;
            (gone ? card.querySelector("[data-undo]") : card.querySelector("summary")).focus();
        }
        this.number();
    }

    move(card, by) {
        const cards = [...this.list.children].filter((each) => !each.hidden);
        const other = cards[cards.indexOf(card) + by];
        if (!other) return;
        if (by < 0) other.before(card);
        else other.after(card);
        this.dirty = true;
        this.number();
        card.querySelector(by < 0 ? "[data-up]" : "[data-down]").focus();
    }

    number() {
        const cards = [...this.list.children].filter((card) => !card.hidden);
        cards.forEach((card, place) => { this.named(card, "position").value = place; });
        const count = cards.filter((card) => !card.classList.contains("is-removed")).length;
        this.root.querySelector("[data-charge-count]").textContent = count || "";
        this.root.querySelector("[data-no-charges]").hidden = cards.length > 0;
    }
};
