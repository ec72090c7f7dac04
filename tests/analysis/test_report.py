from __future__ import annotations

import base64
import re
from html.parser import HTMLParser

import pytest

from nrsdark_xr.analysis import Baseline, InputRow, ReportContent, write_report

from .sample import make_content

VOID = {"meta", "img", "br", "link", "input"}


class Page(HTMLParser):
    """Collects text and attributes, and insists on balanced tags."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str]] = []
        self.text = ""
        self.feed(html)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if "style" not in self.open:
            self.text += data


@pytest.fixture(scope="module")
def html(tmp_path_factory):
    path = tmp_path_factory.mktemp("report") / "report.html"
    write_report(path, make_content())
    return path.read_text()


def read(path, content: ReportContent) -> tuple[str, Page]:
    write_report(path, content)
    html = path.read_text()
    return html, Page(html)


def test_the_page_is_well_formed_and_whole(html):
    page = Page(html)
    assert page.open == []
    for text in ("What went in", "Quality gates", "Maps", "Histograms", "Ramps", "Provenance"):
        assert text in page.text


def test_nothing_comes_from_outside(html):
    page = Page(html)
    for name, value in page.attributes:
        if name in ("src", "href"):
            assert value.startswith(("data:image/png;base64,", "#")), value[:60]
    assert "script" not in page.tags
    assert "link" not in page.tags
    assert not re.search(r"url\(|@import", html)


def test_every_picture_is_a_png_with_words(html):
    pictures = re.findall(r'<img src="data:image/png;base64,([^"]+)" alt="([^"]+)">', html)
    assert len(pictures) == 6 + 4 + 3 + 5 + 4
    for data, words in pictures:
        assert base64.b64decode(data).startswith(b"\x89PNG")
        assert words
    assert html.count("<figcaption>") == len(pictures)


def test_gates_and_inputs_are_listed(html):
    content = make_content()
    text = Page(html).text
    for gate in content.gates:
        assert gate.name in text
        assert gate.description in text
    for row in content.inputs:
        assert row.name in text
    assert "grating PRISM is excluded" in text
    assert "6 of 7 exposures" in text
    assert "refs/gain.fits" in text
    assert "rejection_threshold: 4.0" in text
    assert "1 min 15 s" in text
    assert "1 GiB" in text


def test_the_verdict_follows_the_delivery_gates(tmp_path, html):
    assert "Meets the delivery criterion" in Page(html).text
    failed = make_content(gates=tuple(g for g in make_content().gates if not g.delivery))
    _, page = read(tmp_path / "a.html", failed)
    assert "Meets the delivery criterion" in page.text
    content = make_content()
    import dataclasses

    low = dataclasses.replace(content.gates[0], value=1.0)
    _, page = read(tmp_path / "b.html", make_content(gates=(low, *content.gates[1:])))
    assert "Does not meet the delivery criterion" in page.text


def test_hostile_names_are_shown_not_run(tmp_path):
    evil = '"><script>alert(1)</script>'
    row = InputRow(evil, evil, evil, evil, 0.0, accepted=False, reason=evil)
    baseline = Baseline(make_content().bias, evil, make_content().mask, evil)
    content = make_content(
        name=evil, inputs=(row,), baseline=baseline, parameters={"x": evil}, subarray=evil
    )
    html, page = read(tmp_path / "evil.html", content)
    assert "script" not in page.tags
    assert "<script" not in html
    assert evil in page.text


def test_what_is_missing_is_said(tmp_path):
    content = make_content(examples=(), absent_kinds=("hot", "RC"), baseline=Baseline(), steps=())
    _, page = read(tmp_path / "empty.html", content)
    assert "No example of: hot, RC." in page.text
    assert "given no superbias" in page.text
    assert "given no mask" in page.text
    assert page.open == []


def test_same_content_same_bytes(tmp_path, html):
    write_report(tmp_path / "again.html", make_content())
    assert (tmp_path / "again.html").read_text() == html
    assert [file.name for file in tmp_path.iterdir()] == ["again.html"]
