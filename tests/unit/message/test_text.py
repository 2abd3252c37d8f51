"""What a reader sees (RFC 8621 §4.1.4, RFC 8970)."""

import pytest

from pennypost.message import text
from pennypost.message.digest import digest
from pennypost.message.headers import split
from pennypost.message.limits import MAX_HTML_TAGS
from pennypost.message.text import Numbers


def message(source: str) -> tuple[text.Part, bytes]:
    header_block, body = split(source.replace("\n", "\r\n").encode())
    return digest(header_block, body).index, body


def multipart(kind: str, *parts: str, boundary: str = "B") -> str:
    inside = "".join(f"--{boundary}\n{part}\n" for part in parts)
    return f"Content-Type: multipart/{kind}; boundary={boundary}\n\n{inside}--{boundary}--\n"


PLAIN = "Content-Type: text/plain\n\nplain words"
HTML = "Content-Type: text/html\n\n<p>html <b>wor</b>ds</p>"
PDF = 'Content-Type: application/pdf; name="a/b\\\\c.pdf"\n\nx'
IMAGE = "Content-Type: image/png\nContent-ID: <i>\n\nx"


def numbers(found: tuple[tuple[Numbers, text.Part], ...]) -> list[Numbers]:
    return [one for one, _ in found]


@pytest.mark.parametrize(
    ("source", "as_text", "as_html", "attached"),
    [
        (PLAIN, [(1,)], [(1,)], []),
        (PDF, [], [], [(1,)]),
        (multipart("mixed", PLAIN, PDF), [(1,)], [(1,)], [(2,)]),
        (multipart("alternative", PLAIN, HTML), [(1,)], [(2,)], []),
        (multipart("alternative", HTML), [(1,)], [(1,)], []),
        (multipart("mixed", multipart("alternative", PLAIN, HTML, boundary="C"), PDF), [(1, 1)], [(1, 2)], [(2,)]),
        (
            multipart("alternative", PLAIN, multipart("related", HTML, IMAGE, boundary="C")),
            [(1,)],
            [(2, 1)],
            [(2, 2)],
        ),
        (multipart("mixed", PLAIN, IMAGE, PLAIN), [(1,), (2,), (3,)], [(1,), (2,), (3,)], []),
        (multipart("mixed", PLAIN, "Content-Type: text/plain; name=x.txt\n\nx"), [(1,)], [(1,)], [(2,)]),
        (multipart("mixed", PLAIN, "Content-Type: message/rfc822\n\nA: b\n\n"), [(1,)], [(1,)], [(2,)]),
    ],
)
def test_body_parts(source: str, as_text: list[Numbers], as_html: list[Numbers], attached: list[Numbers]) -> None:
    found = text.body_parts(message(source)[0])
    assert (numbers(found.text), numbers(found.html), numbers(found.attachments)) == (as_text, as_html, attached)


def test_text_and_html() -> None:
    index, body = message(multipart("alternative", PLAIN, HTML))
    assert text.plain_text(index, body) == "plain words"
    assert text.html(index, body) == "<p>html <b>wor</b>ds</p>"
    index, body = message(HTML)
    assert text.plain_text(index, body) == "html words"
    index, body = message(PLAIN)
    assert text.html(index, body) is None


def test_a_multipart_without_parts_is_text() -> None:
    index, body = message("Content-Type: multipart/mixed\n\njust words\n")
    assert text.plain_text(index, body) == "just words\n"


def test_walk_goes_into_messages() -> None:
    inside = "Content-Type: message/rfc822\n\n" + multipart("mixed", PLAIN, PLAIN, boundary="C")
    index, _ = message(multipart("mixed", PLAIN, inside))
    assert [one for one, _ in text.walk(index)] == [(1,), (2,), (2, 1), (2, 2)]
    index, _ = message("Content-Type: message/rfc822\n\nContent-Type: message/rfc822\n\nA: b\n\nx")
    assert [one for one, _ in text.walk(index)] == [(1,), (1, 1), (1, 1, 1)]


@pytest.mark.parametrize(
    ("fields", "name"),
    [
        ("Content-Type: application/pdf; name=x.pdf", "x.pdf"),
        ("Content-Type: application/pdf; name=x.pdf\nContent-Disposition: attachment; filename=y.pdf", "y.pdf"),
        ("Content-Disposition: attachment; filename*=utf-8''%C3%BC%2F..%2Fetc%2Fp", "p"),
        ('Content-Disposition: attachment; filename="..\\\\..\\\\x.exe"', "x.exe"),
        ('Content-Disposition: attachment; filename="a\u202egpj.exe"', "a_gpj.exe"),
        ('Content-Disposition: attachment; filename="..."', "text.txt"),
        ("Content-Type: application/pdf", "attachment.pdf"),
        ("Content-Type: application/octet-stream", "attachment.bin"),
        ("Content-Type: message/rfc822", "message.eml"),
    ],
)
def test_file_names(fields: str, name: str) -> None:
    assert text.file_name(message(fields + "\n\nA: b\n\n")[0]) == name


def test_attachments() -> None:
    index, _ = message(multipart("mixed", PLAIN, PDF))
    (attachment,) = text.attachments(index)
    assert (attachment.numbers, attachment.file_name) == ((2,), "c.pdf")


@pytest.mark.parametrize(
    ("html", "shown"),
    [
        ("<p>one</p><p>two<br>three</p>", "one\ntwo\nthree"),
        ("<head><title>t</title></head><style>x{}</style><script>y</script>words", "words"),
        ("<div hidden>no</div><span style='display:none'>no</span>yes", "yes"),
        ("a &amp; b&nbsp;c <!-- no -->", "a & b c"),
        ("", ""),
        ("<table><tr><td>a<td>b</table>", "a\nb"),
    ],
)
def test_html_to_text(html: str, shown: str) -> None:
    assert text.html_to_text(html) == shown


def test_too_many_tags_are_cut_out() -> None:
    assert text.html_to_text("<b>" * (MAX_HTML_TAGS + 1) + "word<br>next") == "word\nnext"


@pytest.mark.parametrize(
    ("source", "preview"),
    [
        ("\nHello,\n\n  how are\tyou?\n", "Hello, how are you?"),
        ("\n> quoted\nanswer\n-- \nBob\n", "answer"),
        ("\n> only quoted\n", "> only quoted"),
        (HTML, "html words"),
        (PDF, ""),
        ("\n" + "\u200b\u034f" * 5 + "seen", "seen"),
        ("\n" + "word " * 100, ("word " * 52)[:256]),
    ],
)
def test_preview(source: str, preview: str) -> None:
    """RFC 8970 §3.1: at most 256 characters."""
    assert text.preview(*message(source)) == preview
