"""The ways in which WordprocessingML can hold a sentence (ISO/IEC 29500-1, 17, 20, 21 and 22; Part 4 for VML)."""

# ruff: noqa: E501  (a table is read line by line)

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping

from dizuo.testing.vectors.document_reader import BEFORE, BEHIND, Construct

OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006"
NAMESPACES = {
    "w": "http://schemas.openxmlformats.org/wordprocessingml/2006/main",
    "r": f"{OFFICE}/relationships",
    "m": f"{OFFICE}/math",
    "a": "http://schemas.openxmlformats.org/drawingml/2006/main",
    "wp": "http://schemas.openxmlformats.org/drawingml/2006/wordprocessingDrawing",
    "pic": "http://schemas.openxmlformats.org/drawingml/2006/picture",
    "c": "http://schemas.openxmlformats.org/drawingml/2006/chart",
    "dgm": "http://schemas.openxmlformats.org/drawingml/2006/diagram",
    "mc": "http://schemas.openxmlformats.org/markup-compatibility/2006",
    "wps": "http://schemas.microsoft.com/office/word/2010/wordprocessingShape",
    "w14": "http://schemas.microsoft.com/office/word/2010/wordml",
    "v": "urn:schemas-microsoft-com:vml",
    "o": "urn:schemas-microsoft-com:office:office",
    "x": "urn:example:a-wrapper-that-nobody-knows",
}
STRICT = {
    "w": "http://purl.oclc.org/ooxml/wordprocessingml/main",
    "r": "http://purl.oclc.org/ooxml/officeDocument/relationships",
}
STYLES = """<w:style w:type="paragraph" w:default="1" w:styleId="Normal"><w:name w:val="Normal"/></w:style>
<w:style w:type="paragraph" w:styleId="Titel"><w:name w:val="Title"/></w:style>
<w:style w:type="paragraph" w:styleId="berschrift1"><w:name w:val="heading 1"/>
<w:pPr><w:outlineLvl w:val="0"/></w:pPr></w:style>
<w:style w:type="paragraph" w:styleId="Clause"><w:name w:val="Clause"/><w:basedOn w:val="berschrift1"/></w:style>
<w:style w:type="paragraph" w:styleId="Plain"><w:name w:val="Plain"/><w:basedOn w:val="berschrift1"/>
<w:pPr><w:outlineLvl w:val="9"/></w:pPr></w:style>
<w:style w:type="character" w:styleId="Secret"><w:name w:val="Secret"/><w:rPr><w:vanish/></w:rPr></w:style>"""


def p(text: str, properties: str = "") -> str:
    """Return a paragraph of one run."""
    return f"<w:p>{properties}{r(text)}</w:p>"


def r(text: str, properties: str = "") -> str:
    """Return a run."""
    return f'<w:r>{properties}<w:t xml:space="preserve">{text}</w:t></w:r>'


def row(*cells: str) -> str:
    """Return a row of cells that hold blocks."""
    return "<w:tr>" + "".join(f"<w:tc>{cell}</w:tc>" for cell in cells) + "</w:tr>"


def table(*rows: str) -> str:
    """Return a table of rows."""
    return f"<w:tbl><w:tblPr/><w:tblGrid><w:gridCol/></w:tblGrid>{''.join(rows)}</w:tbl>"


def docx(
    body: str, parts: Mapping[str, tuple[str, str]] | None = None, *, namespaces: Mapping[str, str] = NAMESPACES
) -> bytes:
    """Return a Word document.

    Args:
        body: the content of `w:body`.
        parts: id of the relation → (its kind, the XML of the part), such as `{"h1": ("header", "<w:hdr>…</w:hdr>")}`.
        namespaces: prefix → URI of every part.
    """
    declared = " ".join(f'xmlns:{prefix}="{uri}"' for prefix, uri in namespaces.items())
    kinds = namespaces["r"]

    def relations(items: list[tuple[str, str, str]]) -> str:
        inner = "".join(f'<Relationship Id="{id}" Type="{kinds}/{kind}" Target="{to}"/>' for id, kind, to in items)
        uri = "http://schemas.openxmlformats.org/package/2006/relationships"
        return f'<Relationships xmlns="{uri}">{inner}</Relationships>'

    parts = {"styles": ("styles", f"<w:styles>{STYLES}</w:styles>"), **(parts or {})}
    files = {
        "_rels/.rels": relations([("main", "officeDocument", "word/document.xml")]),
        "word/document.xml": f"<w:document><w:body>{body}</w:body></w:document>",
        "word/_rels/document.xml.rels": relations([(id, kind, f"{id}.xml") for id, (kind, _) in parts.items()]),
        **{f"word/{id}.xml": content for id, (_, content) in parts.items()},
    }
    word = "application/vnd.openxmlformats-officedocument.wordprocessingml"
    kind_of = {"/word/document.xml": "document.main", **{f"/word/{id}.xml": kind for id, (kind, _) in parts.items()}}
    types = "".join(f'<Override PartName="{name}" ContentType="{word}.{kind}+xml"/>' for name, kind in kind_of.items())
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(
            "[Content_Types].xml",
            '<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types">'
            '<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
            f"{types}</Types>",
        )
        for name, content in files.items():
            root, end, rest = content.partition("/>" if content.find("/>") == content.find(">") - 1 else ">")
            archive.writestr(name, content if "rels" in name else f"{root} {declared}{end}{rest}")
    return packed.getvalue()


def body_with(block: str) -> str:
    """Return a body with something between the two paragraphs that every construct has around it."""
    return p(BEFORE) + block + p(BEHIND)


def block(xml: str, **other: object) -> Construct:
    """Return a construct that stands among paragraphs; § is its sentence, `parts` are given as for `docx`."""
    parts: Mapping[str, tuple[str, str]] = other.pop("parts", {})  # type: ignore[assignment]
    namespaces: Mapping[str, str] = other.pop("namespaces", NAMESPACES)  # type: ignore[assignment]

    def write(sentence: str) -> bytes:
        filled = {id: (kind, content.replace("§", sentence)) for id, (kind, content) in parts.items()}
        return docx(body_with(xml.replace("§", sentence)), filled, namespaces=namespaces)

    return Construct(write, **other)  # type: ignore[arg-type]


def inline(xml: str, **other: object) -> Construct:
    """Return a construct that stands within a paragraph; § is its sentence."""
    return block(f"<w:p>{xml}</w:p>", **other)


def field(code: str, result: str | None) -> str:
    """Return a complex field; without a result where that is None."""
    shown = "" if result is None else MARK.format("separate") + result
    return f"{MARK.format('begin')}<w:r><w:instrText>{code}</w:instrText></w:r>{shown}{MARK.format('end')}"


def drawing(graphic: str, description: str = "") -> str:
    """Return a drawing in its run."""
    return (
        f'<w:r><w:drawing><wp:inline><wp:docPr id="1" name="Drawing 1" descr="{description}"/>'
        f"<a:graphic><a:graphicData>{graphic}</a:graphicData></a:graphic></wp:inline></w:drawing></w:r>"
    )


BOX = f"<wps:wsp><wps:txbx><w:txbxContent>{p('§')}</w:txbxContent></wps:txbx></wps:wsp>"
VML_BOX = f"<w:pict><v:shape><v:textbox><w:txbxContent>{p('§')}</w:txbxContent></v:textbox></v:shape></w:pict>"
PICTURE = '<pic:pic><pic:nvPicPr><pic:cNvPr id="1" name="a.png"/></pic:nvPicPr><pic:blipFill><a:blip/></pic:blipFill></pic:pic>'
MARK = '<w:r><w:fldChar w:fldCharType="{}"/></w:r>'
BY = 'w:id="7" w:author="Ada"'
NOTE = '<w:footnotes><w:footnote w:type="separator" w:id="0"><w:p/></w:footnote><w:footnote w:id="2">{}</w:footnote></w:footnotes>'
HIDDEN = "runs of hidden text"
DELETED = "tracked deletions"
MOVED = "texts that were moved away"
CHOICES = "choices of drop-down lists"

INLINE = {
    "a run": r("§"),
    "a tracked insertion": f"<w:ins {BY}>{r('§')}</w:ins>",
    "a text moved here": f"<w:moveTo {BY}>{r('§')}</w:moveTo>",
    "a content control": f"<w:sdt><w:sdtPr><w:alias w:val='x'/></w:sdtPr><w:sdtContent>{r('§')}</w:sdtContent></w:sdt>",
    "a smart tag": f'<w:smartTag w:uri="u" w:element="e"><w:smartTagPr/>{r("§")}</w:smartTag>',
    "custom XML": f'<w:customXml w:uri="u" w:element="e"><w:customXmlPr/>{r("§")}</w:customXml>',
    "a hyperlink": f'<w:hyperlink r:id="none">{r("§")}</w:hyperlink>',
    "a simple field": f'<w:fldSimple w:instr="REF x">{r("§")}</w:fldSimple>',
    "a field's result": field("REF x", r("§")),
    "a direction": f'<w:dir w:val="rtl">{r("§")}</w:dir>',
    "a direction override": f'<w:bdo w:val="ltr">{r("§")}</w:bdo>',
    "a permission": f'<w:permStart w:id="1"/>{r("§")}<w:permEnd w:id="1"/>',
    "a commented range": f'<w:commentRangeStart w:id="1"/>{r("§")}<w:commentRangeEnd w:id="1"/>',
    "a bookmark": f'<w:bookmarkStart w:id="1" w:name="b"/>{r("§")}<w:bookmarkEnd w:id="1"/>',
    "alternatives": f'<mc:AlternateContent><mc:Choice Requires="x">{r("§")}</mc:Choice></mc:AlternateContent>',
    "a fallback": f'<mc:AlternateContent><mc:Choice Requires="x"/><mc:Fallback>{r("§")}</mc:Fallback></mc:AlternateContent>',
    "an unknown wrapper": f"<x:wrapper>{r('§')}</x:wrapper>",
    "the base of ruby": f"<w:r><w:ruby><w:rubyPr/><w:rt>{r('abc')}</w:rt><w:rubyBase>{r('§')}</w:rubyBase></w:ruby></w:r>",
}
"""Wrappers of runs, which may stand within each other."""

BLOCKS = {
    "a content control of blocks": "<w:sdt><w:sdtContent>§</w:sdtContent></w:sdt>",
    "custom XML around blocks": '<w:customXml w:element="e">§</w:customXml>',
    "a cell": table(row(p("k"), "§")),
    "a content control around a cell": table(
        f"<w:tr><w:tc>{p('k')}</w:tc><w:sdt><w:sdtContent><w:tc>§</w:tc></w:sdtContent></w:sdt></w:tr>"
    ),
    "a content control around a row": table(f"<w:sdt><w:sdtContent>{row(p('k'), '§')}</w:sdtContent></w:sdt>"),
    "a tracked row": table(f"<w:tr><w:trPr><w:ins {BY}/></w:trPr><w:tc>§</w:tc></w:tr>"),
    "alternatives of blocks": '<mc:AlternateContent><mc:Choice Requires="x">§</mc:Choice></mc:AlternateContent>',
    "an unknown wrapper of blocks": "<x:wrapper>§</x:wrapper>",
    "a text box": f"<w:p>{drawing('<wps:wsp><wps:txbx><w:txbxContent>§</w:txbxContent></wps:txbx></wps:wsp>')}</w:p>",
}
"""Wrappers of paragraphs, which may stand within each other."""

DOCX = {
    **{name: inline(xml) for name, xml in INLINE.items()},
    **{name: block(xml.replace("§", p("§"))) for name, xml in BLOCKS.items()},
    # ---- runs and what is in them
    "several runs": inline("<w:proofErr/>".join(r(f"{word} ") for word in ("Notice", "is", "three", "months."))),
    "letters apart": inline("".join(r(letter) for letter in "Notice is three months.")),
    "tabs and breaks": inline("<w:r><w:t>Notice</w:t><w:tab/><w:t>is</w:t><w:br/><w:t>three</w:t><w:cr/><w:t>months.</w:t></w:r>"),
    "soft hyphens": inline("<w:r><w:t>Not</w:t><w:softHyphen/><w:t>ice is three mon\u00adths.</w:t></w:r>"),
    "a run around a picture": inline(f"{r('Notice is ')}{drawing(PICTURE, 'A clock')}{r('three months.')}"),
    "a note in a sentence": inline(
        f'{r("Notice is ")}<w:r><w:footnoteReference w:id="2"/></w:r>{r("three months.")}',
        parts={"notes": ("footnotes", NOTE.format(p("A note.")))},
    ),
    "hidden text": inline(r("§", "<w:rPr><w:vanish/></w:rPr>"), left_out=HIDDEN),
    "text that is hidden by its style": inline(r("§", '<w:rPr><w:rStyle w:val="Secret"/></w:rPr>'), left_out=HIDDEN),
    "text that is not hidden": inline(r("§", '<w:rPr><w:rStyle w:val="Secret"/><w:vanish w:val="0"/></w:rPr>')),
    "hidden on the web": inline(r("§", "<w:rPr><w:webHidden/></w:rPr>")),
    "text above others (ruby)": inline(f"<w:r><w:ruby><w:rt>{r('§')}</w:rt><w:rubyBase>{r('base')}</w:rubyBase></w:ruby></w:r>"),
    "a symbol that is known": inline(f'{r("§")}<w:r><w:sym w:font="Wingdings" w:char="F0FE"/></w:r>'),
    "a symbol that is not known": inline(f'{r("§")}<w:r><w:sym w:font="Webdings" w:char="F0FE"/></w:r>', also=("symbols",)),
    "text of an unknown element": inline("<x:note>§</x:note>", left_out="elements of an unknown kind"),
    # ---- tracked changes
    "a tracked deletion": inline(f"<w:del {BY}><w:r><w:delText>§</w:delText></w:r></w:del>", left_out=DELETED),
    "a text moved from here and lost": inline(f"<w:moveFrom {BY}>{r('§')}</w:moveFrom>", left_out=MOVED),
    "a text moved from here to there": inline(f"<w:moveFrom {BY}>{r('§')}</w:moveFrom><w:moveTo {BY}>{r('§')}</w:moveTo>"),
    "a deleted row": block(table(f"<w:tr><w:trPr><w:del {BY}/></w:trPr><w:tc>{p('§')}</w:tc></w:tr>"), left_out=DELETED),
    "a deleted cell": block(table(f"<w:tr><w:tc><w:tcPr><w:cellDel {BY}/></w:tcPr>{p('§')}</w:tc></w:tr>"), left_out=DELETED),
    "paragraphs that were joined": block(
        p("Notice is ", f"<w:pPr><w:rPr><w:del {BY}/></w:rPr></w:pPr>") + p("three months.")
    ),
    "a deleted insertion": inline(f"<w:ins {BY}><w:del {BY}><w:r><w:delText>§</w:delText></w:r></w:del></w:ins>", left_out=DELETED),
    "a big first letter": block(p("N", '<w:pPr><w:framePr w:dropCap="drop" w:lines="3"/></w:pPr>') + p("otice is three months.")),
    # ---- fields and forms
    "a field without a result": inline(field(' XE "§" ', None), left_out="fields without a result"),
    "a simple field without a result": inline('<w:fldSimple w:instr=\'TC "§"\'/>', left_out="fields without a result"),
    "a field in a field's code": inline(
        f'{MARK.format("begin")}<w:r><w:instrText>IF 1 = 1</w:instrText></w:r>{field("REF x", r("no"))}'
        f'{MARK.format("separate")}{r("§")}{MARK.format("end")}'
    ),
    "a field that never ends": inline(f'<w:r><w:fldChar w:fldCharType="begin"/></w:r>{r("§")}'),
    "a drop-down list of a form": inline(
        '<w:r><w:fldChar w:fldCharType="begin"><w:ffData><w:ddList><w:result w:val="1"/><w:listEntry w:val="no"/>'
        '<w:listEntry w:val="§"/></w:ddList></w:ffData></w:fldChar></w:r><w:r><w:fldChar w:fldCharType="end"/></w:r>',
        also=(CHOICES,),
    ),
    "a choice of a content control": inline(
        "<w:sdt><w:sdtPr><w:dropDownList><w:listItem w:displayText='§'/></w:dropDownList></w:sdtPr>"
        f"<w:sdtContent>{r('chosen')}</w:sdtContent></w:sdt>",
        left_out=CHOICES,
    ),
    "a placeholder": inline(f"<w:sdt><w:sdtPr><w:showingPlcHdr/></w:sdtPr><w:sdtContent>{r('§')}</w:sdtContent></w:sdt>"),
    # ---- drawings
    "a text box for Word 2007": inline(f"<w:r>{VML_BOX}</w:r>"),
    "a text box and its twin": inline(
        f'<w:r><mc:AlternateContent><mc:Choice Requires="wps">{drawing(BOX)}</mc:Choice>'
        f"<mc:Fallback>{VML_BOX}</mc:Fallback></mc:AlternateContent></w:r>"
    ),
    "a text box in a cell": block(table(row(p("k"), f"<w:p>{drawing(BOX)}</w:p>"))),
    "WordArt": inline('<w:r><w:pict><v:shape><v:textpath string="§"/></v:shape></w:pict></w:r>'),
    "a shape's own text": inline(drawing("<a:sp><a:txBody><a:p><a:r><a:t>§</a:t></a:r></a:p></a:txBody></a:sp>")),
    "a picture's description": inline(drawing(PICTURE, "§")),
    "a picture's title": inline(drawing(PICTURE, "A clock").replace('descr=', 'title="§" descr=')),
    "an old picture's description": inline('<w:r><w:pict><v:shape alt="§"><v:imagedata r:id="i"/></v:shape></w:pict></w:r>'),
    "a picture": inline(drawing(PICTURE) + r("§"), also=("pictures without a description",)),
    "a chart's title": inline(
        drawing('<c:chart r:id="chart"/>'),
        parts={"chart": ("chart", "<c:chartSpace><c:title><a:p><a:r><a:t>§</a:t></a:r></a:p></c:title></c:chartSpace>")},
    ),
    "a chart's label": inline(
        drawing('<c:chart r:id="chart"/>'),
        parts={"chart": ("chart", "<c:chartSpace><c:cat><c:strRef><c:strCache><c:pt><c:v>§</c:v></c:pt></c:strCache></c:strRef></c:cat></c:chartSpace>")},
    ),
    "a chart that is lost": inline(r("§") + drawing('<c:chart r:id="gone"/>'), also=("charts and diagrams without text",)),
    "a diagram": inline(
        drawing('<dgm:relIds r:dm="diagram"/>'),
        parts={"diagram": ("diagramData", "<dgm:dataModel><dgm:pt><dgm:t><a:p><a:r><a:t>§</a:t></a:r></a:p></dgm:t></dgm:pt></dgm:dataModel>")},
    ),
    "an embedded object": inline(
        f'{r("§")}<w:r><w:object><v:shape><v:imagedata r:id="i"/></v:shape><o:OLEObject r:id="o"/></w:object></w:r>',
        also=("embedded objects",),
    ),
    # ---- equations
    "an equation": inline("<m:oMath><m:r><m:t>§</m:t></m:r></m:oMath>"),
    "an equation of its own": inline("<m:oMathPara><m:oMath><m:r><m:t>§</m:t></m:r></m:oMath></m:oMathPara>"),
    "an equation among blocks": block("<m:oMathPara><m:oMath><m:r><m:t>§</m:t></m:r></m:oMath></m:oMathPara>"),
    "a fraction": inline("<m:oMath><m:f><m:num><m:r><m:t>§</m:t></m:r></m:num><m:den><m:r><m:t>2</m:t></m:r></m:den></m:f></m:oMath>"),
    "brackets": inline("<m:oMath><m:d><m:e><m:r><m:t>§</m:t></m:r></m:e></m:d></m:oMath>"),
    "a matrix": inline("<m:oMath><m:m><m:mr><m:e><m:r><m:t>§</m:t></m:r></m:e></m:mr></m:m></m:oMath>"),
    "an unknown shape of an equation": inline("<m:oMath><m:f><m:more><m:r><m:t>§</m:t></m:r></m:more></m:f></m:oMath>"),
    "an insertion in an equation": inline(f"<m:oMath><m:r><w:ins {BY}><m:t>§</m:t></w:ins></m:r></m:oMath>"),
    # ---- notes, comments, headers
    "a footnote": inline(
        '<w:r><w:footnoteReference w:id="2"/></w:r>', parts={"notes": ("footnotes", NOTE.format(p("§")))}
    ),
    "a footnote's table": inline(
        '<w:r><w:footnoteReference w:id="2"/></w:r>', parts={"notes": ("footnotes", NOTE.format(table(row(p("§")))))}
    ),
    "a footnote of a table": block(
        table(row('<w:p><w:r><w:footnoteReference w:id="2"/></w:r></w:p>')),
        parts={"notes": ("footnotes", NOTE.format(p("§")))},
    ),
    "a footnote that nothing refers to": inline(
        r("text"), parts={"notes": ("footnotes", NOTE.format(p("§")))}, left_out="notes that nothing refers to"
    ),
    "a footnote that is missing": inline(
        f'{r("§")}<w:r><w:footnoteReference w:id="9"/></w:r>', also=("notes that are missing",)
    ),
    "a footnote that is referred to twice": inline(
        '<w:r><w:footnoteReference w:id="2"/></w:r><w:r><w:footnoteReference w:id="2"/></w:r>',
        parts={"notes": ("footnotes", NOTE.format(p("§")))},
    ),
    "a header that is missing": block(
        p("§") + '<w:sectPr><w:headerReference w:type="default" r:id="gone"/></w:sectPr>',
        also=("headers and footers that are missing",),
    ),
    "an endnote": inline(
        '<w:r><w:endnoteReference w:id="2"/></w:r>',
        parts={"notes": ("endnotes", NOTE.format(p("§")).replace("footnote", "endnote"))},
    ),
    "a comment": inline(
        '<w:r><w:commentReference w:id="1"/></w:r>',
        parts={"comments": ("comments", f'<w:comments><w:comment w:id="1">{p("§")}</w:comment></w:comments>')},
        left_out="comments",
    ),
    **{
        f"a {kind}{f' of {which} pages' if which != 'default' else ''}": block(
            f'<w:p><w:pPr><w:sectPr><w:{kind}Reference w:type="{which}" r:id="h"/></w:sectPr></w:pPr></w:p>',
            parts={"h": (kind, f"<w:{root}>{p('§')}</w:{root}>")},
        )
        for kind, root in (("header", "hdr"), ("footer", "ftr"))
        for which in ("default", "first", "even")
    },
    "two headers that say the same": block(
        '<w:sectPr><w:headerReference w:type="default" r:id="h"/><w:headerReference w:type="first" r:id="i"/></w:sectPr>',
        parts={"h": ("header", f"<w:hdr>{p('§')}</w:hdr>"), "i": ("header", f"<w:hdr>{p('§')}</w:hdr>")},
    ),
    "a watermark": block(
        '<w:sectPr><w:headerReference w:type="default" r:id="h"/></w:sectPr>',
        parts={"h": ("header", '<w:hdr><w:p><w:r><w:pict><v:shape><v:textpath string="§"/></v:shape></w:pict></w:r></w:p></w:hdr>')},
    ),
    "two headers with one watermark": block(
        '<w:sectPr><w:headerReference w:type="default" r:id="h"/><w:headerReference w:type="first" r:id="i"/></w:sectPr>',
        parts=dict.fromkeys(("h", "i"), ("header", '<w:hdr><w:p><w:r><w:pict><v:shape><v:textpath string="§"/></v:shape></w:pict></w:r></w:p></w:hdr>')),
    ),
    # ---- blocks
    "a paragraph": block(p("§")),
    "a title": block(p("§", '<w:pPr><w:pStyle w:val="Titel"/></w:pPr>')),
    "a heading": block(p("§", '<w:pPr><w:pStyle w:val="berschrift1"/></w:pPr>')),
    "a list item": block(p("§", '<w:pPr><w:numPr><w:ilvl w:val="0"/><w:numId w:val="1"/></w:numPr></w:pPr>')),
    "a frame": block(p("§", '<w:pPr><w:framePr w:w="100"/></w:pPr>')),
    "the end of a section": block(p("§", "<w:pPr><w:sectPr/></w:pPr>")),
    "text without a paragraph": block(r("§")),
    "a table of contents": block(
        '<w:sdt><w:sdtPr><w:docPartObj><w:docPartGallery w:val="Table of Contents"/></w:docPartObj></w:sdtPr>'
        f"<w:sdtContent>{p('§')}</w:sdtContent></w:sdt>"
    ),
    "an embedded document": block('<w:altChunk r:id="chunk"/>' + p("§"), also=("embedded documents",)),
    "a subdocument": block('<w:subDoc r:id="sub"/>' + p("§"), also=("subdocuments in files of their own",)),
    "ink": inline(f'<w:r><w:contentPart r:id="ink"/></w:r>{r("§")}', also=("ink drawings",)),
    # ---- tables
    "a table in a table": block(table(row(p("k"), table(row(p("l"), p("§"))) + "<w:p/>"))),
    "a table in a table in a table": block(table(row(table(row(p("k"), table(row(p("§")))))))),
    "a table's caption": block(table(row(p("k"))).replace("<w:tblPr/>", '<w:tblPr><w:tblCaption w:val="§"/></w:tblPr>')),
    "a table's description": block(table(row(p("k"))).replace("<w:tblPr/>", '<w:tblPr><w:tblDescription w:val="§"/></w:tblPr>')),
    "a wide cell": block(table(row(f'<w:tcPr><w:gridSpan w:val="2"/></w:tcPr>{p("§")}', p("x")))),
    "a cell that covers two rows": block(
        table(
            row(f'<w:tcPr><w:vMerge w:val="restart"/></w:tcPr>{p("§")}', p("x")),
            row("<w:tcPr><w:vMerge/></w:tcPr><w:p/>", p("y")),
        ),
        times=2,
    ),
    "a cell of two paragraphs": block(table(row(p("k"), p("Notice is") + p("three months.")))),
    "a paragraph among rows": block(table(row(p("k")), p("§"))),
    "a paragraph among cells": block(table(f"<w:tr><w:tc>{p('k')}</w:tc>{p('§')}</w:tr>")),
    "a layout with a heading": block(table(row(p("h", '<w:pPr><w:pStyle w:val="berschrift1"/></w:pPr>'), p("§")))),
    "the strict namespace": block(p("§"), namespaces=STRICT),
}  # fmt: skip
