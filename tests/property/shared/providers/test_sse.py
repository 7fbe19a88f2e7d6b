from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from shared.providers.sse import EventSplitter

_PAYLOADS = st.lists(
    st.text(st.characters(exclude_characters="\r\n", exclude_categories=["Cs"]), max_size=20).map(
        lambda text: text.strip().encode().strip()
    ),
    max_size=8,
)


@given(
    payloads=_PAYLOADS,
    cuts=st.lists(st.integers(0, 400), max_size=12),
    head=st.sampled_from([b"data:", b"data: "]),
    line_end=st.sampled_from([b"\n", b"\r\n"]),
)
def test_events_do_not_depend_on_how_the_network_cuts_them(
    payloads: list[bytes], cuts: list[int], head: bytes, line_end: bytes
) -> None:
    stream = b"".join(
        b": comment" + line_end + head + payload + line_end * 2 for payload in payloads
    )
    splitter = EventSplitter()

    places = sorted({0, len(stream), *(min(cut, len(stream)) for cut in cuts)})
    found = [data for a, b in pairwise(places) for data in splitter.feed(stream[a:b])]

    assert found == payloads
    assert splitter.end() == []


def test_a_last_event_without_a_line_end_is_found_at_the_end() -> None:
    splitter = EventSplitter()

    assert splitter.feed(b"event: x\ndata: 1\n\ndata: 2") == [b"1"]
    assert splitter.end() == [b"2"]
