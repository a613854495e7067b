"""JSON as APIs really spell it: texts, not values. Two spellings of one value are two texts here."""

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

SPACES = st.sampled_from(("", "", "", " ", "\n", "\t ", "\r\n  "))

NUMBERS = st.one_of(
    st.sampled_from(
        ("0", "-0", "-0.0", "1.10", "1.1", "1E+2", "1e2", "100", "1e-400", "1e400", "-1E400", "0.1e1", "5e-324")
    ),
    st.sampled_from(("9223372036854775807", "-9223372036854775808", "18446744073709551616", "9007199254740993")),
    st.integers(min_value=-(10**60), max_value=10**60).map(str),
    st.from_regex(r"-?(0|[1-9][0-9]{0,25})(\.[0-9]{1,25})?([eE][-+]?[0-9]{1,3})?", fullmatch=True),
)

_PLAIN = st.text(st.characters(exclude_characters='"\\', exclude_categories=("Cs", "Cc")), max_size=12)
#: Lone surrogates, a pair, NUL, an escaped slash, escapes of what needs none.
_ESCAPES = st.sampled_from(
    (r"\ud800", r"\udc00", r"\uDFFF", r"\ud83d\ude00", r"\u0000", r"\/", r"\"", r"\\", r"\n", r"\u00e9", r"\u002F")
)  # fmt: skip
STRINGS = st.lists(st.one_of(_PLAIN, _ESCAPES), max_size=4).map(lambda parts: f'"{"".join(parts)}"')

LEAVES = st.one_of(NUMBERS, STRINGS, st.sampled_from(("true", "false", "null", "{}", "[]", "{ }", "[\n]")))


def _array(values: SearchStrategy[str]) -> SearchStrategy[str]:
    return st.tuples(SPACES, st.lists(values, max_size=4), SPACES).map(
        lambda drawn: f"[{drawn[0]}{(drawn[2] + ',').join(drawn[1])}{drawn[2]}]"
    )


def _object(values: SearchStrategy[str]) -> SearchStrategy[str]:
    return st.tuples(SPACES, st.lists(st.tuples(STRINGS, SPACES, values), max_size=4), SPACES).map(
        lambda drawn: "{" + drawn[0] + ",".join(f"{key}{space}:{space}{value}" for key, space, value in drawn[1])
        + drawn[2] + "}"
    )  # fmt: skip


VALUES = st.recursive(LEAVES, lambda values: st.one_of(_array(values), _object(values)), max_leaves=12)


@st.composite
def documents(draw: st.DrawFn, record_id: str, *, values: SearchStrategy[str] = VALUES) -> str:
    """An object whose `id` stands anywhere among its fields, in whatever layout."""
    fields = [(f'"field {number}"', draw(values)) for number in range(draw(st.integers(0, 4)))]
    fields += [(key, draw(values)) for key in draw(st.lists(STRINGS.filter(_is_no_name_of_ours), max_size=2))]
    fields.insert(draw(st.integers(0, len(fields))), ('"id"', f'"{record_id}"'))
    before, between, after = draw(SPACES), draw(SPACES), draw(SPACES)
    return "{" + before + f",{between}".join(f"{key}{after}:{before}{value}" for key, value in fields) + after + "}"


def nested(record_id: str, levels: int) -> str:
    """An object that is nested so many levels deep, itself counted."""
    opening, closing = "", ""
    for level in range(levels - 1):
        opening, closing = (opening + "[", "]" + closing) if level % 2 else (opening + '{"a":', "}" + closing)
    return f'{{"id":"{record_id}","deep":{opening}0{closing}}}'


def _is_no_name_of_ours(key: str) -> bool:
    return key not in ('"id"', '"created"', '"deleted"', '"object"')
