"""The ways in which HTML can hold a sentence (HTML standard, 4 and 15; MathML Core; SVG 2)."""

# ruff: noqa: E501  (a table is read line by line)

from __future__ import annotations

from dizuo.testing.vectors.document_reader import BEFORE, BEHIND, Construct


def html(inside: str, **other: object) -> Construct:
    """Return a construct that stands among paragraphs; § is its sentence."""
    page = f"<!doctype html><title>Handbook</title><p>{BEFORE}</p>\n{inside}\n<p>{BEHIND}</p>"
    return Construct(lambda sentence: page.replace("§", sentence), **other)  # type: ignore[arg-type]


_INLINE = [
    "a", "abbr", "b", "bdi", "bdo", "big", "blink", "cite", "code", "data", "del", "dfn", "em", "font", "i", "ins",
    "kbd", "label", "mark", "meter", "output", "progress", "q", "s", "samp", "small", "span", "strike", "strong",
    "sub", "sup", "time", "tt", "u", "var", "nobr", "slot", "acronym", "my-element", "x-unknown",
]  # fmt: skip
_BLOCKS = [
    "p", "div", "article", "section", "nav", "aside", "header", "footer", "main", "search", "address", "blockquote",
    "center", "details", "dialog", "dl", "fieldset", "figure", "form", "h1", "h2", "h3", "h4", "h5", "h6", "hgroup",
    "menu", "ol", "ul", "dir", "pre", "listing", "xmp", "marquee",
]  # fmt: skip
PICTURES = "pictures without a description"
HIDDEN = "hidden elements"
CHOICES = "choices of drop-down lists"

HTML = {
    **{f"<{name}>": html(f"<p>x <{name}>§</{name}> y</p>") for name in _INLINE},
    **{f"<{name}>": html(f"<{name}>§</{name}>") for name in _BLOCKS},
    # ---- text
    "text without a block": html("§"),
    "words in elements of their own": html("<p><b>No</b>tice <i>is</i> three <my-word>mon</my-word>ths."),
    "line breaks": html("<p>Notice is<br>three<br/>months."),
    "word breaks and soft hyphens": html("<p>Not<wbr>ice is three mon&shy;ths."),
    "character references": html("<p>Notice&#32;is&nbsp;three months&period;"),
    "white space": html("<p>Notice\n\t is \r\n  three months."),
    "lines of <pre>": html("<pre>\nNotice is\n  three months.</pre>"),
    "a CDATA section that is none": html("<p>§<![CDATA[ ]]>"),
    "a comment beside it": html("<p>Notice <!-- not this -->is three months."),
    # ---- ruby
    "the base of ruby": html("<p><ruby>Notice is<rt>x</rt> three months.<rt>y</rt></ruby>"),
    "the base of ruby with brackets": html("<p><ruby>§<rp>(</rp><rt>x</rt><rp>)</rp></ruby>"),
    "the reading of ruby": html("<p><ruby>漢<rt>§</rt></ruby>"),
    "words in the brackets of ruby": html("<p><ruby>漢<rp>§</rp><rt>x</rt></ruby>"),
    "<rp> by itself": html("<p>x <rp>§</rp> y"),
    "<rt> by itself": html("<p>x <rt>§</rt> y"),
    # ---- lists and what belongs to blocks
    "<li>": html("<ul><li>x<li>§<ul><li>y</ul></ul>"),
    "<li> of <menu>": html("<menu><li>§</menu>"),
    "<dt>": html("<dl><dt>§<dd>x</dl>"),
    "<dd>": html("<dl><dt>x<dd>§</dl>"),
    "<dd> in <div>": html("<dl><div><dt>x<dd>§</div></dl>"),
    "<summary>": html("<details><summary>§</summary>x</details>"),
    "closed <details>": html("<details><summary>x</summary>§</details>"),
    "<figcaption>": html("<figure><img src=a alt=''><figcaption>§</figcaption></figure>"),
    "<legend>": html("<fieldset><legend>§</legend>x</fieldset>"),
    "a closed <dialog>": html("<dialog><p>§</dialog>"),
    "a popover": html("<div popover>§</div>"),
    "<hgroup> with a line below": html("<hgroup><h2>x</h2><p>§</p></hgroup>"),
    # ---- tables
    "<td>": html("<table><tr><td>k<td>§</table>"),
    "<th>": html("<table><tr><th>§<td>k</table>"),
    "a cell with a paragraph": html("<table><tr><td><p>k</p></td><td><p>§</p></td></tr></table>"),
    "a cell with two paragraphs": html("<table><tr><td>k<td><p>Notice is<p>three months.</table>"),
    "a cell with a list": html("<table><tr><td>k<td><ul><li>x<li>§</ul></table>"),
    "a cell with a break": html("<table><tr><td>k<td>Notice is<br>three months.</table>"),
    "a cell that covers two columns": html("<table><tr><td colspan=2>§<td>x</table>"),
    "a cell that covers two rows": html("<table><tr><td rowspan=2>§<td>x<tr><td>y</table>", times=2),
    "a table in a cell": html("<table><tr><td>k<td><table><tr><td>l<td>§</table></table>"),
    "a table in a table in a cell": html("<table><tr><td>k<td><table><tr><td>l<td><table><tr><td>§</table></table></table>"),
    "a layout of one column": html("<table><tr><td><p>x<p>§</table>"),
    "a layout with a heading": html("<table><tr><td><h2>x</h2><p>§<td>menu</table>"),
    "a layout with a table": html("<table><tr><td><h2>x</h2><table><tr><td>k<td>§</table><td>menu</table>"),
    "<caption>": html("<table><caption>§</caption><tr><td>x<td>y</table>"),
    "<thead>": html("<table><thead><tr><td>§<td>x</thead><tbody><tr><td>y<td>z</table>"),
    "<tfoot>": html("<table><tr><td>y<td>z<tfoot><tr><td>§<td>x</tfoot></table>"),
    "text that stands among rows": html("<table><tr><td>x<td>y</tr>§</table>"),
    "a row without a table": html("<tr><td>§</td></tr>"),
    "an unclosed table": html("<div><table><tr><td>k<td>§</div></table>"),
    # ---- forms
    "<textarea>": html("<form><textarea>§</textarea></form>"),
    "a placeholder of <textarea>": html("<textarea placeholder='§'></textarea>"),
    "<button>": html("<button>§</button>"),
    "a value of <input>": html("<input value='§'>"),
    "a value of a button": html("<input type=submit value='§'>"),
    "a placeholder of <input>": html("<input type=email placeholder='§'>"),
    "<input type=image>": html("<input type=image alt='§'>"),
    "a hidden field": html("<input type=hidden value='§'>", left_out=HIDDEN),
    "a password": html("<input type=password value='§'>", left_out="passwords"),
    "the chosen <option>": html("<select><option>x<option selected>§</select>", also=(CHOICES,)),
    "the first <option>": html("<select><option>§<option>x</select>", also=(CHOICES,)),
    "another <option>": html("<select><option>x<option>§</select>", left_out=CHOICES),
    "<option> of a list": html("<select multiple><option>x<option>§</select>"),
    "a label of <option>": html("<select><option label='§'></select>"),
    "a label of <optgroup>": html("<select size=3><optgroup label='§'><option>x</select>"),
    "text of <select> beside its options": html("<select><label>§</label><option>x</select>"),
    "a choice within a sentence": html("<p>Notice is <select><option>one<option selected>three</select> months.", also=(CHOICES,)),
    "<datalist>": html("<datalist><option>§</datalist>", left_out="suggestions of fields"),
    "<output>": html("<output>§</output>"),
    # ---- pictures and what is embedded
    "alt of <img>": html("<p>x <img src=a alt='§'> y"),
    "alt of <img> in a link": html("<a href=x><img src=a alt='§'></a>"),
    "alt of <area>": html("<map><area alt='§'></map>"),
    "<img> without alt": html("<p>§ <img src=a>", also=(PICTURES,)),
    "<img> of a <picture>": html("<picture><source srcset=b><img src=a alt='§'></picture>"),
    "text of <svg>": html("<svg><text><tspan>§</tspan></text></svg>"),
    "title of <svg>": html("<svg><title>§</title><path d=x /></svg>"),
    "HTML in <svg>": html("<svg><foreignObject><p>§</p></foreignObject></svg>"),
    "<svg> without text": html("<p>§<svg><path d=x /></svg>", also=(PICTURES,)),
    "<canvas>": html("<canvas>§</canvas>"),
    "<object>": html("<object data=a>§</object>", also=("embedded objects",)),
    "<video>": html("<video src=a>§</video>", also=("recordings",)),
    "<audio>": html("<audio src=a>§</audio>", also=("recordings",)),
    "a page in a frame": html("<iframe srcdoc='<p>§'></iframe>"),
    "a page at an address": html("<p>§<iframe src=a></iframe>", also=("embedded pages",)),
    "a template of a shadow tree": html("<div><template shadowrootmode=open><p>§</p></template></div>"),
    "a template": html("<template><p>§</p></template>", left_out="templates"),
    "<noscript>": html("<noscript><p>§</p></noscript>", left_out="texts for browsers without scripts"),
    "<noembed>": html("<noembed>§</noembed>", left_out="texts for browsers without plug-ins"),
    # ---- formulas
    "<math>": html("<math><mtext>§</mtext></math>"),
    "<mfrac>": html("<math><mfrac><mtext>§</mtext><mn>2</mn></mfrac></math>"),
    "<msup>": html("<math><msup><mtext>§</mtext><mn>2</mn></msup></math>"),
    "<msqrt>": html("<math><msqrt><mtext>§</mtext></msqrt></math>"),
    "<mroot>": html("<math><mroot><mtext>§</mtext><mn>3</mn></mroot></math>"),
    "<mtable>": html("<math><mtable><mtr><mtd><mtext>§</mtext></mtd></mtr></mtable></math>"),
    "a formula with its TeX": html(
        r"<math><semantics><mtext>§</mtext><annotation encoding='application/x-tex'>\text{§}</annotation></semantics></math>"
    ),
    "an annotation of nothing": html("<math><semantics><annotation-xml><mtext>§</mtext></annotation-xml></semantics></math>"),
    # ---- hidden and shown elsewhere
    "hidden": html("<div hidden><p>§</div>", left_out=HIDDEN),
    "hidden until found": html("<div hidden=until-found>§</div>"),
    "hidden by its style": html("<p style='color: red; display: none'>§", left_out=HIDDEN),
    "aria-hidden": html("<p aria-hidden=true>§"),
    "a tooltip": html("<p title='§'>x", left_out="tooltips"),
    "a tooltip that says what is read": html("<p title='§'>§"),
    "a label for screen readers": html("<button aria-label='§'>x</button>", left_out="tooltips"),
    "a table's summary": html("<table summary='§'><tr><td>x<td>y</table>", left_out="tooltips"),
    "a script": html("<p>§<script>let x = '§'</script><style>p::before{content:'§'}</style>"),
    "a description in <meta>": Construct(
        lambda sentence: f"<meta name=description content='{sentence}'><p>{BEFORE}<p>{BEHIND}"
    ),
}  # fmt: skip


def xhtml(inside: str, **other: object) -> Construct:
    """Return a construct of XHTML."""
    page = (
        '<?xml version="1.0"?><html xmlns="http://www.w3.org/1999/xhtml"><head><title>x</title><script src="a"/></head>'
        f"<body><p>{BEFORE}</p>{inside}<p>{BEHIND}</p></body></html>"
    )
    return Construct(lambda sentence: page.replace("§", sentence), **other)  # type: ignore[arg-type]


XHTML = {
    "behind an element that closes itself": xhtml("<div/><p>§</p>"),
    "behind a script that closes itself": xhtml("<script src='a'/><p>§</p>"),
    "a CDATA section": xhtml("<p><![CDATA[§]]></p>"),
    "void elements": xhtml("<p>Notice is<br/>three months.<hr/></p>"),
}
