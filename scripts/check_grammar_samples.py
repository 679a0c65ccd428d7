"""Reads texts of the ready-made grammars with parsers of other people.

    STENCIL_SAMPLES=200 STENCIL_SAMPLES_FILE=samples.jsonl cargo test --release --test grammars
    python3 -m venv venv && venv/bin/pip install sqlglot python-chess rdkit tree-sitter tree-sitter-c markdown-it-py sexpdata
    venv/bin/python scripts/check_grammar_samples.py samples.jsonl
"""
import ast, collections, configparser, csv, io, json, re, sys

parsers = {
    "json_document": json.loads,
    "python_expression": lambda text: ast.parse(text, mode="eval"),
    "arithmetic": lambda text: ast.parse(text, mode="eval"),
    "csv_table": lambda text: list(csv.reader(io.StringIO(text, newline=""), strict=True)),
    "ini_file": lambda text: configparser.RawConfigParser(strict=False).read_string(text),
}


def optional(name, make):
    try:
        parsers[name] = make()
    except ImportError as missing:
        print(f"{name}: not checked, {missing}")


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


def c():
    import tree_sitter, tree_sitter_c
    parser = tree_sitter.Parser(tree_sitter.Language(tree_sitter_c.language()))

    def parse(text):
        if parser.parse(f"void f(void) {text}".encode()).root_node.has_error:
            raise ValueError("syntax error")
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
    import chess
    import chess.pgn

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

    return lambda text: chess.pgn.read_game(io.StringIO(text + "\n"), Visitor=Reader) or sys.exit("no game")


for name, make in [("sql_query", sql), ("smiles", smiles), ("c_function", c), ("markdown_table", markdown),
                   ("s_expression", lisp), ("chess_game", chess)]:
    optional(name, make)

good, bad = collections.Counter(), collections.Counter()
for line in open(sys.argv[1], encoding="utf-8"):
    sample = json.loads(line)
    name, text = sample["grammar"], sample["text"]
    if name not in parsers:
        continue
    try:
        parsers[name](text)
        good[name] += 1
    except Exception as error:
        bad[name] += 1
        if bad[name] <= 3:
            print(f"{name}: {text!r}: {str(error)[:200]}")
for name in parsers:
    print(f"{name}: {good[name]} parsed, {bad[name]} not")
sys.exit(1 if bad else 0)
