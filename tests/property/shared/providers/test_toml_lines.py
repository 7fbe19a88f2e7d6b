import tomllib

from hypothesis import given
from hypothesis import strategies as st

from shared.providers.json_reading import is_array, is_object
from shared.providers.toml_lines import lines_by_key

_names = st.text(alphabet="abc=[]#\"' \\", min_size=1, max_size=6)
_values = st.recursive(
    st.one_of(st.integers(0, 9), st.booleans(), _names),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_names, inner, max_size=3),
    max_leaves=8,
)


def _written(value: object) -> str:
    if is_array(value):
        return "[" + ", # ]\n".join(map(_written, value)) + "]"
    if is_object(value):
        pairs = (f"{_quoted(key)} = {_written(one)}" for key, one in value.items())
        return "{ " + ", ".join(pairs) + " }"
    return _quoted(value) if isinstance(value, str) else str(value).lower()


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


@given(st.dictionaries(_names, _values, min_size=1, max_size=5))
def test_every_key_of_any_file_has_the_line_of_its_statement(content: dict[str, object]) -> None:
    statements = [f"{_quoted(key)} = {_written(value)}" for key, value in content.items()]
    text = "\n".join(statements)
    try:
        tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return  # a line break inside an inline table
    lines = lines_by_key(text)
    line = 1
    for key, statement in zip(content, statements, strict=True):
        assert lines[key] == line
        line += statement.count("\n") + 1
