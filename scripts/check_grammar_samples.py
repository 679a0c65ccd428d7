#!/usr/bin/env python3
"""Draws texts of the ready-made grammars around fixed spans of real texts, and reads them with parsers of other people.

    python3 scripts/check_grammar_samples.py [SAMPLES]

Parsers come from PyPI into target/grammar-parsers. Real texts are taken from what those packages and Python ship;
those that a grammar does not have are left out. Prints a table; exit status 1 where a parser disagrees.
"""
import ast, collections, configparser, csv, io, json, os, pathlib, re, subprocess, sys, tarfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
HOME = ROOT / "target" / "grammar-parsers"
PACKAGES = ["sqlglot==27.8.0", "chess==1.11.2", "rdkit", "tree-sitter==0.25.1", "tree-sitter-c==0.24.1",
            "tree-sitter-json==0.24.8", "markdown-it-py==4.0.0", "sexpdata==1.0.2", "vega_datasets==0.9.0"]
SOURCES = ["chess==1.11.2", "sqlparse==0.5.3", "sexpdata==1.0.2", "tree-sitter-c==0.24.1", "tabulate==0.9.0"]


def prepare():
    """Installs the parsers and goes on inside their environment."""
    python = HOME / "bin" / "python"
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", HOME], check=True)
        subprocess.run([python, "-m", "pip", "install", "-q", *PACKAGES], check=True)
        subprocess.run([python, "-m", "pip", "download", "-q", "--no-deps", "--no-binary", ":all:",
                        "-d", HOME / "sources", *SOURCES], check=True)
    if pathlib.Path(sys.prefix) != HOME:
        os.execv(python, [str(python), __file__, *sys.argv[1:]])


# Parsers. Each raises where a text is not of its language.

def sql():
    import sqlglot
    return sqlglot.parse_one


def smiles():
    from rdkit import Chem, RDLogger
    RDLogger.DisableLog("rdApp.*")

    def parse(text):
        if Chem.MolFromSmiles(text, sanitize=False) is None:
            raise ValueError("not a molecule")
    return parse


def tree(module, wrap=lambda text: text):
    import importlib, tree_sitter
    language = importlib.import_module(module).language()
    parser = tree_sitter.Parser(tree_sitter.Language(language))

    def parse(text):
        if parser.parse(wrap(text).encode()).root_node.has_error:
            raise ValueError("syntax error")
    return parse


def json_twice():
    second = tree("tree_sitter_json")

    def parse(text):
        json.loads(text)
        second(text)
    return parse


def markdown():
    from markdown_it import MarkdownIt
    reader = MarkdownIt("commonmark").enable("table")

    def parse(text):
        tokens = reader.parse(text)
        if tokens[0].type != "table_open" or tokens[-1].type != "table_close":
            raise ValueError("not one table")
    return parse


def lisp():
    import sexpdata
    return sexpdata.loads


def chess():
    import chess, chess.pgn

    class Reader(chess.pgn.BaseVisitor):
        def parse_san(self, board, san):
            # The grammar says how moves are written, not which are legal.
            if not chess.SAN_REGEX.match(san) and not re.fullmatch(r"O-O(-O)?[+#]?", san):
                raise ValueError(f"not a move: {san}")
            return chess.Move.null()

        def handle_error(self, error):
            raise error

        def result(self):
            return True

    def parse(text):
        if not chess.pgn.read_game(io.StringIO(text + "\n"), Visitor=Reader):
            raise ValueError("no game")
    return parse


def expression():
    return lambda text: ast.parse(text, mode="eval")


def table():
    return lambda text: list(csv.reader(io.StringIO(text, newline=""), strict=True))


def ini():
    return lambda text: configparser.RawConfigParser(strict=False).read_string(text)


PARSERS = {
    "json_document": ("json, tree-sitter-json", json_twice),
    "arithmetic": ("Python's ast", expression),
    "sql_query": ("sqlglot", sql),
    "python_expression": ("Python's ast", expression),
    "csv_table": ("Python's csv", table),
    "markdown_table": ("markdown-it-py", markdown),
    "chess_game": ("python-chess", chess),
    "smiles": ("RDKit", smiles),
    "s_expression": ("sexpdata", lisp),
    "ini_file": ("Python's configparser", ini),
    "c_function": ("tree-sitter-c", lambda: tree("tree_sitter_c", lambda text: f"void f(void) {text}")),
}


# Real texts.

def files(pattern):
    return sorted(HOME.glob(f"lib/python*/site-packages/{pattern}"))


def sources(name, suffix):
    for archive in sorted((HOME / "sources").glob(f"{name}*.tar.gz")):
        with tarfile.open(archive) as tar:
            for member in tar:
                if member.name.endswith(suffix) and member.isfile() and member.size < 400_000:
                    yield tar.extractfile(member).read().decode(errors="ignore")


def library():
    """Modules of Python's own library."""
    return sorted(pathlib.Path(os.__file__).parent.glob("*.py"))[:120]


def expressions():
    for path in library():
        source = path.read_text(errors="ignore")
        lines = source.encode().split(b"\n")
        for node in ast.walk(ast.parse(source)):
            value = getattr(node, "value", None)
            if isinstance(node, (ast.Return, ast.Assign)) and value and value.lineno == value.end_lineno:
                yield lines[value.lineno - 1][value.col_offset:value.end_col_offset].decode()


def sums():
    for path in library():
        for node in ast.walk(ast.parse(path.read_text(errors="ignore"))):
            if isinstance(node, ast.BinOp):
                yield re.sub(r"[a-zA-Z_]\w*(?:[.(\[][^\s()\[\]]*[)\]]?)*", "12", ast.unparse(node))


def molecules():
    from rdkit import Chem, RDConfig
    for name in ["NCI/first_200.props.sdf", "NCI/first_5K.smi"]:
        path = pathlib.Path(RDConfig.RDDataDir) / name
        if path.suffix == ".sdf" and path.exists():
            yield from (Chem.MolToSmiles(m) for m in Chem.SDMolSupplier(str(path)) if m)
        elif path.exists():
            yield from (line.split()[0] for line in path.read_text().splitlines() if line.strip())


def real():
    def lines(texts, pattern):
        return (match for text in texts for match in re.findall(pattern, text))
    yield "json_document", (path.read_text() for path in files("**/*.json"))
    yield "json_document", (json.dumps(part) for path in files("**/*.json") for part in parts(path))
    yield "arithmetic", sums()
    yield "python_expression", expressions()
    yield "sql_query", lines(sources("sqlparse", ".py"), r"""(?i)['"](select [^'"\n]+)['"]""")
    yield "csv_table", ("".join(open(path).readlines()[:4]) for path in files("vega_datasets/_data/*.csv"))
    metadata = [path.read_text(errors="ignore") for path in files("*.dist-info/METADATA")]
    yield "markdown_table", lines([*metadata, *sources("tabulate", ".md")], r"(?m)(?:^\|.*\|\n){3,6}")
    yield "chess_game", (re.split(r" (?=\S*$)", game[:100])[0] + " *" for text in sources("chess", ".pgn")
                         for game in re.findall(r"(?m)^1\. .*(?:\n.+)*", text) for game in [game.replace("\n", " ")])
    yield "smiles", molecules()
    yield "s_expression", lines(sources("sexpdata", ".py"), r"'(\([^'\n]*\))'")
    yield "s_expression", lines((p.read_text() for p in files("**/*.scm")), r"(?m)^(\([^@#\n]*\)) @")
    yield "ini_file", (path.read_text() for path in files("*.dist-info/entry_points.txt"))
    yield "c_function", (re.sub(r"(?m)^ +", "", body) for body in
                         lines([*sources("tree", ".h"), *sources("tree", ".c")], r"\{[^{}\"#]*;[^{}\"#]*\}"))


def parts(path):
    try:
        whole = json.loads(path.read_text())
    except ValueError:
        return
    open_parts = [whole]
    while open_parts:
        part = open_parts.pop()
        if isinstance(part, (dict, list)):
            yield part
            open_parts.extend(part.values() if isinstance(part, dict) else part)


def main():
    samples = sys.argv[1] if len(sys.argv) > 1 else "200"
    texts, drawn = HOME / "real.jsonl", HOME / "samples.jsonl"
    found = collections.Counter()
    with open(texts, "w") as out:
        for name, candidates in real():
            for text in candidates:
                if 4 <= len(text) <= 160 and found[name] < 300:
                    found[name] += 1
                    out.write(json.dumps({"grammar": name, "text": text}) + "\n")
    environment = dict(os.environ, STENCIL_SAMPLES=samples, STENCIL_SAMPLES_FILE=drawn, STENCIL_REAL_TEXTS=texts)
    subprocess.run(["cargo", "test", "--release", "--test", "grammars", "--", "--nocapture"],
                   cwd=ROOT, env=environment, check=True)

    good, bad, fixed, known = (collections.Counter() for _ in range(4))
    readers = {name: make() for name, (_, make) in PARSERS.items()}
    for line in open(drawn, encoding="utf-8"):
        sample = json.loads(line)
        name, text = sample["grammar"], sample["text"]
        fixed[name] += sample["fixed"]
        known[name] = sample["real"]
        try:
            readers[name](text)
            good[name] += 1
        except Exception as error:
            bad[name] += 1
            if bad[name] <= 3:
                print(f"{name}: {text!r}: {str(error)[:200]}")
    print("| grammar | real texts | tokens fixed | read by | parsed | not |\n|---|---|---|---|---|---|")
    for name, (parser, _) in PARSERS.items():
        print(f"| `{name}` | {known[name]} | {fixed[name]} | {parser} | {good[name]} | {bad[name]} |")
    sys.exit(1 if bad else 0)


prepare()
main()
