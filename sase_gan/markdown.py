"""Other people's texts in Markdown: names of files, models and licences are read as they are written."""

import html
import re

# A low line within a word is none, and a number sign may be an escape's.
_MARKS = re.compile(r"[*~`\\@\[\]$|]|^#|(?<![^\W_])_|_(?![^\W_])|(?<=:)/(?=/)|(?<=www)\.")


def escaped(text: object, *, quote: bool = True) -> str:
    """Escape a text for HTML and for Markdown, on one line, in a cell of a table too.

    A space at either end stays: templates put texts together.

    Args:
        quote: escapes quotation marks as well, for attributes.

    Example:
        >>> escaped("a|b <img> *c* of a_b", quote=False)
        'a&#124;b &lt;img&gt; &#42;c&#42; of a_b'
    """
    return unmarked(html.escape(re.sub(r"\s+", " ", str(text)), quote=quote))


def unmarked(text: str) -> str:
    """Let what Markdown would take for a mark, a link or an address of mail stand for itself."""
    return _MARKS.sub(lambda mark: f"&#{ord(mark[0])};", text)
