"""The rules of the house, read off the code itself: what a reviewer would otherwise have to watch for."""

import ast
import json
import re
import tomllib
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path

import pytest

from billing.pricing import parse_price, rate

ROOT = Path(__file__).resolve().parents[2]
APPS = ("config", "customers", "billing", "revenue")
MODULE_LINES = 400
FUNCTION_LINES = 40  # docstring included, decorators not
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())

Check = Callable[[Path, ast.Module], Iterator[ast.AST]]


def modules(*folders: str) -> list[Path]:
    """Every module below these folders that people write: not migrations, which a command writes."""
    found = [path for folder in folders for path in sorted((ROOT / folder).rglob("*.py"))]
    return [path for path in found if "migrations" not in path.parts]


def offences(check: Check, *folders: str) -> list[str]:
    """Where the check finds something, as file and line, so that the failing test leads to the place."""
    return [
        f"{path.relative_to(ROOT)}:{getattr(node, 'lineno', 1)}"
        for path in modules(*folders)
        for node in check(path, ast.parse(path.read_text(), str(path)))
    ]


def dotted(node: ast.AST) -> str:
    """`a.b.c` for a chain of names; a call or subscript within it ends the chain."""
    if isinstance(node, ast.Attribute):
        return f"{dotted(node.value)}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else ""


def calls(tree: ast.Module, matches: Callable[[str], bool]) -> Iterator[ast.AST]:
    """The calls of functions whose dotted name matches."""
    return (node for node in ast.walk(tree) if isinstance(node, ast.Call) and matches(dotted(node.func)))


def test_it_works() -> None:
    assert len(modules(*APPS)) > 50


def test_a_module_has_at_most_400_lines() -> None:
    long = [path for path in modules(*APPS) if len(path.read_text().splitlines()) > MODULE_LINES]
    assert [str(path.relative_to(ROOT)) for path in long] == []


def test_a_function_has_at_most_40_lines() -> None:
    def check(path: Path, tree: ast.Module) -> Iterator[ast.AST]:
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                assert node.end_lineno is not None
                if node.end_lineno - node.lineno + 1 > FUNCTION_LINES:
                    yield node

    assert offences(check, *APPS) == []


def test_no_amount_becomes_a_binary_float() -> None:
    def check(path: Path, tree: ast.Module) -> Iterator[ast.AST]:
        if path == ROOT / "billing/charts.py":  # a picture: the exact numbers stand in the table beside it
            return iter(())
        literals = (node for node in ast.walk(tree) if isinstance(node, ast.Constant) and type(node.value) is float)
        used = list(calls(tree, lambda name: name.rpartition(".")[2] in ("float", "FloatField", "from_float")))
        within = {id(inner) for call in calls(tree, lambda name: name.startswith(("time.", "random."))) for inner in
                  ast.walk(call)}  # fmt: skip
        return iter([*used, *(node for node in literals if id(node) not in within)])

    assert offences(check, "billing", "revenue", "customers") == []


def test_no_code_puts_a_trigger_aside() -> None:
    def check(path: Path, tree: ast.Module) -> Iterator[ast.AST]:
        return calls(tree, lambda name: name == "pgtrigger.ignore" or name.endswith("session_replication_role"))

    assert offences(check, *APPS) == []


def test_the_clock_is_read_in_one_place() -> None:
    clocks = re.compile(r"(datetime|date|timezone|time)\.(now|utcnow|today|time|localdate|localtime)")

    def check(path: Path, tree: ast.Module) -> Iterator[ast.AST]:
        return iter(()) if path == ROOT / "config/clock.py" else calls(tree, lambda name: bool(clocks.search(name)))

    assert offences(check, *APPS) == []


def test_the_database_s_clock_dates_nothing() -> None:
    def check(path: Path, tree: ast.Module) -> Iterator[ast.AST]:
        return calls(tree, lambda name: name.rpartition(".")[2] in ("Now", "TransactionNow"))

    assert offences(check, *APPS) == []


def test_only_created_at_is_stamped_by_itself() -> None:
    """Every other time says what it means in the business, and is given by the caller."""

    def check(path: Path, tree: ast.Module) -> Iterator[ast.AST]:
        for node in ast.walk(tree):
            if isinstance(node, ast.Assign) and isinstance(node.value, ast.Call):
                names = {keyword.arg for keyword in node.value.keywords}
                if "auto_now" in names or ("auto_now_add" in names and dotted(node.targets[0]) != "created_at"):
                    yield node

    assert offences(check, *APPS) == []


def test_only_the_edge_reads_the_clock() -> None:
    """Services and rules take `now` as a parameter, so that a replay computes what the first run did."""
    inner = {"services.py", "queries.py", "models.py", "lifecycle.py", "engine.py", "store.py", "accrual.py"}

    def check(path: Path, tree: ast.Module) -> Iterator[ast.AST]:
        if path.name not in inner:
            return
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom) and (
                node.module == "config.clock" or (node.module == "config" and "clock" in {n.name for n in node.names})
            ):
                yield node

    assert offences(check, "customers", "billing", "revenue") == []


def test_no_error_is_swallowed() -> None:
    """A handler that catches everything must do something about it."""

    def broad(kind: ast.expr | None) -> bool:
        kinds = kind.elts if isinstance(kind, ast.Tuple) else [kind]
        return any(each is None or dotted(each) in ("Exception", "BaseException") for each in kinds)

    def idle(statement: ast.stmt) -> bool:
        return isinstance(statement, ast.Pass | ast.Continue) or (
            isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)
        )

    def check(path: Path, tree: ast.Module) -> Iterator[ast.AST]:
        for node in ast.walk(tree):
            if isinstance(node, ast.ExceptHandler) and broad(node.type) and all(map(idle, node.body)):
                yield node

    assert offences(check, *APPS, "tests") == []


def test_services_take_keyword_arguments_only() -> None:
    def check(path: Path, tree: ast.Module) -> Iterator[ast.AST]:
        if path.name not in ("services.py", "lifecycle.py"):
            return
        for node in tree.body:
            if isinstance(node, ast.FunctionDef) and not node.name.startswith("_") and node.args.args:
                yield node

    assert offences(check, "customers", "billing", "revenue") == []


def test_everything_public_says_what_it_is() -> None:
    """Classes and functions of the rules and services; Django's own inner classes and overrides need no words."""
    silent = {"Meta", "Command"}

    def check(path: Path, tree: ast.Module) -> Iterator[ast.AST]:
        for node in tree.body:
            if not isinstance(node, ast.FunctionDef | ast.ClassDef) or node.name.startswith("_"):
                continue
            known = isinstance(node, ast.ClassDef) and (node.name in silent or node.name.endswith(("Config", "State")))
            if not known and ast.get_docstring(node) is None:
                yield node

    assert offences(check, *APPS) == []


def test_no_work_is_left_for_later() -> None:
    words = re.compile(r"\b(TODO|FIXME)\b")
    here = Path(__file__)
    found = [path for path in modules(*APPS, "tests") if path != here and words.search(path.read_text())]
    assert [str(path.relative_to(ROOT)) for path in found] == []


def test_every_module_that_calls_itself_pure_is_held_to_it() -> None:
    contract = next(each for each in PROJECT["tool"]["importlinter"]["contracts"] if "pure" in each["name"])
    held = contract["source_modules"]
    for path in modules(*APPS):
        if "Pure: no Django" in (ast.get_docstring(ast.parse(path.read_text())) or ""):
            name = ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
            assert any(name == each or name.startswith(f"{each}.") for each in held), name


def dependencies() -> list[str]:
    """The direct dependencies of the project, at run time and in tests, as written."""
    project = PROJECT["project"]
    return [*project["dependencies"], *(one for group in project["optional-dependencies"].values() for one in group)]


@pytest.mark.parametrize("requirement", dependencies())
def test_a_dependency_is_pinned_and_explained(requirement: str) -> None:
    name, _, version = requirement.partition("==")
    assert re.fullmatch(r"[0-9][0-9A-Za-z.]*", version), "pin it to one version"
    bare = name.partition("[")[0]
    lines = (ROOT / "docs/dependencies.md").read_text().splitlines()
    assert [line for line in lines if line.startswith(f"| {bare} |")], "say in docs/dependencies.md what it replaces"


def test_no_dependency_is_explained_that_is_gone() -> None:
    lines = re.findall(r"^\| ([a-z0-9][a-z0-9-]*) \|", (ROOT / "docs/dependencies.md").read_text(), re.MULTILINE)
    lines = [line for line in lines if line != "dependency"]  # the tables' head
    bare = {re.split(r"[\[=]", one)[0] for one in dependencies()}
    assert set(lines) == bare


def test_every_rule_that_the_code_cites_is_written_down() -> None:
    written = (ROOT / "docs/rules.md").read_text()
    rules = set(re.findall(r"^\*\*(R\d+\.\d+)\*\*", written, re.MULTILINE))
    sections = set(re.findall(r"^## (R\d+) ", written, re.MULTILINE))
    for path in modules(*APPS, "tests"):
        for cited in re.findall(r"\bR[1-9]\.\d+\b", path.read_text()):
            assert cited in rules, f"{path.relative_to(ROOT)} cites {cited}"
        for cited in re.findall(r"\(R([1-9])[;):, ]", path.read_text()):
            assert f"R{cited}" in sections, f"{path.relative_to(ROOT)} cites R{cited}"


def test_the_code_cites_no_page_that_is_not_there() -> None:
    """A page is cited by its path, such as docs/rules.md, and the path leads to it."""
    elsewhere = re.compile(r"\b(DESIGN|REVENUE|EVENTS|STACK|FORMATS|STYLE|RULES)( section|\.md| \"| R\d)")
    for path in modules(*APPS, "tests"):
        if path == Path(__file__):
            continue
        text = path.read_text()
        assert not elsewhere.search(text), f"{path.relative_to(ROOT)} cites a page that is not in docs/"
        for cited in re.findall(r"\bdocs/[a-z_]+\.md\b", text):
            assert (ROOT / cited).exists(), f"{path.relative_to(ROOT)} cites {cited}"


def test_links_between_the_pages_lead_somewhere() -> None:
    for page in [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]:
        for target in re.findall(r"\]\(([^)#:\s]+)(?:#[^)]*)?\)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.relative_to(ROOT)} links to {target}"


def test_the_prices_on_the_formats_page_can_be_read_and_rated() -> None:
    page = (ROOT / "docs/formats.md").read_text()
    blocks = [json.loads(block) for block in re.findall(r"^```json\n(.*?)^```", page, re.MULTILINE | re.DOTALL)]
    prices = [block for block in blocks if isinstance(block, dict) and "model" in block]
    assert [str(rate(parse_price(price), Decimal(1500), "token").amount) for price in prices] == ["120.80"]
    rows = re.findall(r"^\| `(\{.*?\})` \| (\S+) \| (\S+) \|$", page, re.MULTILINE)
    assert len(rows) > 2
    for text, quantity, amount in rows:
        metered = Decimal(7) if quantity == "any" else Decimal(quantity)
        assert str(rate(parse_price(json.loads(text)), metered).amount) == amount
