"""The ways in which PDF can hold a sentence (ISO 32000-2, 7 to 9, 12 and 14), as bytes written by hand."""

# ruff: noqa: E501  (a table is read line by line)

from __future__ import annotations

import io
import zlib
from collections.abc import Mapping, Sequence

from dizuo.testing.vectors.document_reader import BEFORE, BEHIND, Construct

FONT = "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>"


def pdf(
    pages: Sequence[Mapping[str, str]], catalog: str = "", objects: Mapping[int, str | bytes] | None = None
) -> bytes:
    """Return a PDF.

    Args:
        pages: each with its `content` (operators) and, as they stand in the page's dictionary, its `more` entries and
            its `resources` beside the font F1.
        catalog: entries of the catalog.
        objects: numbers from 100 → objects that others refer to.
    """
    kids = " ".join(f"{10 + 2 * number} 0 R" for number in range(len(pages)))
    written: dict[int, str | bytes] = {
        1: f"<< /Type /Catalog /Pages 2 0 R {catalog} >>",
        2: f"<< /Type /Pages /Count {len(pages)} /Kids [ {kids} ] >>",
        3: FONT,
        **(objects or {}),
    }
    for number, page in enumerate(pages):
        resources = f"<< /Font << /F1 3 0 R >> {page.get('resources', '')} >>"
        contents = page.get("contents", f"{11 + 2 * number} 0 R")
        written[10 + 2 * number] = (
            f"<< /Type /Page /Parent 2 0 R /MediaBox [ 0 0 612 792 ] /Resources {resources} /Contents {contents} "
            f"{page.get('more', '')} >>"
        )
        written[11 + 2 * number] = stream(page.get("content", ""))
    file, places = io.BytesIO(b"%PDF-1.7\n"), {}
    file.seek(0, io.SEEK_END)
    for number, body in sorted(written.items()):
        places[number] = file.tell()
        file.write(b"%d 0 obj\n%s\nendobj\n" % (number, body if isinstance(body, bytes) else body.encode("latin-1")))
    start = file.tell()
    file.write(b"xref\n0 1\n0000000000 65535 f \n")
    for number, place in places.items():
        file.write(b"%d 1\n%010d 00000 n \n" % (number, place))
    file.write(b"trailer\n<< /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n" % (max(places) + 1, start))
    return file.getvalue()


def stream(content: str | bytes, more: str = "") -> bytes:
    """Return a stream object."""
    raw = content.encode("latin-1") if isinstance(content, str) else content
    return b"<< /Length %d %s >>\nstream\n%s\nendstream" % (len(raw), more.encode(), raw)


def lines(*texts: str, top: int = 740) -> str:
    """Return the operators that show lines of text below each other."""
    return f"BT /F1 12 Tf 14 TL 72 {top} Td " + " T* ".join(f"({text}) Tj" for text in texts) + " ET "


def around(operators: str) -> str:
    """Return operators between those of the two paragraphs that every construct has around it."""
    return lines(BEFORE, top=740) + operators + " " + lines(BEHIND, top=100)


def page(operators: str, **other: object) -> Construct:
    """Return a construct whose operators show §, its sentence."""
    entries = {name: str(other.pop(name)) for name in ("resources", "more", "contents") if name in other}
    objects: Mapping[int, str | bytes] = other.pop("objects", {})  # type: ignore[assignment]
    catalog = str(other.pop("catalog", ""))

    def fill(value: str | bytes, sentence: str) -> str | bytes:
        return value.replace("§", sentence) if isinstance(value, str) else value.replace(b"\xa7", sentence.encode())

    def write(sentence: str) -> bytes:
        content = around(str(fill(operators, sentence)))
        filled = {number: fill(value, sentence) for number, value in objects.items()}
        one = {"content": content, **{name: str(fill(value, sentence)) for name, value in entries.items()}}
        return pdf([one], str(fill(catalog, sentence)), filled)

    return Construct(write, **other)  # type: ignore[arg-type]


def upon(annotation: str, **other: object) -> Construct:
    """Return a construct that lies upon the page."""
    objects = {100: f"<< /Type /Annot /Rect [ 72 500 300 520 ] {annotation} >>", **other.pop("objects", {})}  # type: ignore[dict-item]
    return page("", more="/Annots [ 100 0 R ]", objects=objects, **other)


def filled_in(field: str, **other: object) -> Construct:
    """Return a construct that is a field of a form."""
    return upon(f"/Subtype /Widget {field}", catalog="/AcroForm << /Fields [ 100 0 R ] >>", **other)


AT = "/F1 12 Tf 72 600 Td"
FORM = "/Type /XObject /Subtype /Form /BBox [ 0 0 612 792 ]"
FORM_FONT = f"{FORM} /Resources << /Font << /F1 3 0 R >> >>"
SHOWN = f"BT {AT} (§) Tj ET"
CHOICES = "choices of drop-down lists"
NOTES = "notes"
ATTACHED = "attached files"
IMAGE = stream(b"\0", "/Type /XObject /Subtype /Image /Width 1 /Height 1 /BitsPerComponent 8 /ColorSpace /DeviceGray")

PDF = {
    # ---- text
    "Tj": page(SHOWN),
    "TJ": page(f"BT {AT} [ (Not) 20 (ice is ) -30 (three months.) ] TJ ET"),
    "TJ without spaces": page(f"BT {AT} [ (Notice) -600 (is) -600 (three) -600 (months.) ] TJ ET"),
    "a line by '": page(f"BT 14 TL {AT} (Notice is) ' (three months.) ' ET"),
    'a line by "': page(f'BT 14 TL {AT} 0 0 (Notice is) " 0 0 (three months.) " ET'),
    "lines by T*": page(f"BT 14 TL {AT} (Notice is) Tj T* (three months.) Tj ET"),
    "lines by TD": page(f"BT {AT} (Notice is) Tj 0 -14 TD (three months.) Tj ET"),
    "a text matrix": page("BT /F1 12 Tf 1 0 0 1 72 600 Tm (§) Tj ET"),
    "words placed by a matrix": page(
        "".join(
            f"BT /F1 12 Tf 1 0 0 1 {72 + 60 * number} 600 Tm ({word}) Tj ET "
            for number, word in enumerate(("Notice", "is", "three", "months."))
        )
    ),
    "a transformed page": page("q 0.5 0 0 0.5 100 200 cm " + SHOWN + " Q"),
    "a turned text": page("BT /F1 12 Tf 0 1 -1 0 300 300 Tm (§) Tj ET"),
    "a text upside down": page("BT /F1 12 Tf -1 0 0 -1 300 300 Tm (§) Tj ET"),
    "a turned page": page(SHOWN, more="/Rotate 90"),
    "hexadecimal text": page(f"BT {AT} <{b'Notice is three months.'.hex()}> Tj ET"),
    "escapes": page(f"BT {AT} (\\116otice \\\nis three months.) Tj ET"),
    "invisible text, as of OCR": page(f"BT 3 Tr {AT} (§) Tj ET"),
    "white text": page(f"BT 1 1 1 rg {AT} (§) Tj ET"),
    "outlined text": page(f"BT 1 Tr {AT} (§) Tj ET"),
    "letters apart": page(f"BT 2 Tc {AT} (§) Tj ET"),
    "a font in a state": page(f"BT {AT} /G0 gs (§) Tj ET", resources="/ExtGState << /G0 << /CA 1 >> >>"),
    # ---- what holds text
    "marked content": page(f"/P BMC {SHOWN} EMC"),
    "marked content with an id": page(f"/P << /MCID 0 >> BDC {SHOWN} EMC"),
    "an artifact": page(f"/Artifact << /Type /Pagination >> BDC {SHOWN} EMC"),
    "a layer": page(f"/OC /L0 BDC {SHOWN} EMC", resources="/Properties << /L0 << /Type /OCG /Name (x) >> >>"),
    "a form": page("/X0 Do", resources="/XObject << /X0 100 0 R >>", objects={100: stream(SHOWN, FORM_FONT)}),
    "a form in a form": page(
        "/X0 Do",
        resources="/XObject << /X0 100 0 R >>",
        objects={
            100: stream("/X1 Do", f"{FORM} /Resources << /XObject << /X1 101 0 R >> >>"),
            101: stream(SHOWN, FORM_FONT),
        },
    ),
    "content in several streams": page(
        "", contents="[ 11 0 R 100 0 R 101 0 R ]",
        objects={100: stream(f"BT {AT} (Notice is ) Tj"), 101: stream("(three months.) Tj ET")},
    ),
    "compressed content": page(
        "", contents="[ 11 0 R 100 0 R ]",
        objects={100: stream(zlib.compress(f"BT {AT} (Notice is three months.) Tj ET".encode()), "/Filter /FlateDecode")},
    ),
    "content as hexadecimal": page(
        "", contents="[ 11 0 R 100 0 R ]",
        objects={100: stream(f"BT {AT} (Notice is three months.) Tj ET".encode().hex() + ">", "/Filter /ASCIIHexDecode")},
    ),
    "beside an inline image": page(f"BI /W 1 /H 1 /BPC 8 /CS /G ID x EI {SHOWN}"),
    "beside a picture": page(
        f"/X0 Do {SHOWN}", resources="/XObject << /X0 100 0 R >>", objects={100: IMAGE}, also=("pictures",)
    ),
    # ---- what drawings mean
    "the text that a drawing stands for": page("/Span << /ActualText (§) >> BDC 0 0 m 9 9 l S EMC"),
    "the same text once more": page(f"/Span << /ActualText (§) >> BDC {SHOWN} EMC"),
    "a figure's description": page("/Figure << /Alt (§) >> BDC 0 0 m 9 9 l S EMC"),
    "a tagged figure's description": page(
        "0 0 m 9 9 l S",
        catalog="/StructTreeRoot 100 0 R",
        objects={
            100: "<< /Type /StructTreeRoot /K [ 101 0 R ] >>",
            101: "<< /Type /StructElem /S /Figure /P 100 0 R /Pg 10 0 R /Alt (§) /K 0 >>",
        },
    ),
    # ---- forms
    "a text field": filled_in("/FT /Tx /T (Period) /V (§)"),
    "a text field with a label": filled_in("/FT /Tx /T (f1) /TU (Period of notice) /V (§)"),
    "a text field without a name": filled_in("/FT /Tx /V (§)"),
    "a long text": filled_in("/FT /Tx /T (f1) /Ff 4096 /V 101 0 R", objects={101: stream("Notice is three months.")}),
    "a text in UTF-16": filled_in(f"/FT /Tx /T (f1) /V <{'Notice is three months.'.encode('utf-16').hex()}>"),
    "a field of which every part is an object": page(
        "", more="/Annots 101 0 R", catalog="/AcroForm 102 0 R",
        objects={
            100: "<< /Subtype 103 0 R /Rect [ 0 0 9 9 ] /FT 104 0 R /T 105 0 R /V 106 0 R /F 107 0 R /Ff 107 0 R >>",
            101: "[ 100 0 R ]", 102: "<< /Fields 108 0 R >>", 103: "/Widget", 104: "/Tx", 105: "(f1)", 106: "(§)",
            107: "0", 108: "[ 100 0 R ]",
        },
    ),
    "a choice of which every part is an object": page(
        "", more="/Annots 101 0 R", catalog="/AcroForm 102 0 R",
        objects={
            100: "<< /Subtype /Widget /Rect [ 0 0 9 9 ] /FT /Ch /T (f1) /V 103 0 R /Opt 104 0 R >>",
            101: "[ 100 0 R ]", 102: "<< /Fields 101 0 R >>", 103: "[ 105 0 R ]", 104: "[ 106 0 R ]", 105: "(a)",
            106: "[ 105 0 R 107 0 R ]", 107: "(§)",
        },
    ),
    "a text written onto the page of which every part is an object": page(
        "", more="/Annots 101 0 R",
        objects={
            100: "<< /Subtype 102 0 R /Rect [ 0 0 9 9 ] /Contents 103 0 R /F 104 0 R >>", 101: "[ 100 0 R ]",
            102: "/FreeText", 103: "(§)", 104: "4",
        },
    ),
    "a stamp of which every part is an object": page(
        "", more="/Annots 101 0 R",
        objects={
            100: "<< /Subtype /Stamp /Rect [ 0 0 9 9 ] /AP 102 0 R /F 104 0 R >>", 101: "[ 100 0 R ]",
            102: "<< /N 103 0 R >>", 103: stream(SHOWN, FORM_FONT), 104: "4",
        },
    ),
    "a tag of which every part is an object": page(
        "0 0 m 9 9 l S", catalog="/StructTreeRoot 100 0 R",
        objects={
            100: "<< /Type /StructTreeRoot /K 101 0 R >>", 101: "[ 102 0 R ]", 103: "(§)",
            102: "<< /Type /StructElem /S /Figure /P 100 0 R /Pg 10 0 R /Alt 103 0 R /K 0 >>",
        },
    ),
    "a text field and its drawing": filled_in(
        "/FT /Tx /T (f1) /V (§) /AP << /N 101 0 R >>", objects={101: stream(SHOWN, FORM_FONT)}
    ),
    "a text field that is only drawn": filled_in("/FT /Tx /T (f1) /AP << /N 101 0 R >>", objects={101: stream(SHOWN, FORM_FONT)}),
    "a choice": filled_in("/FT /Ch /T (f1) /Opt [ (§) ] /V (§)"),
    "a choice with another name": filled_in("/FT /Ch /T (f1) /Opt [ [ (a) (§) ] [ (b) (x) ] ] /V (a)", also=(CHOICES,)),
    "several choices": filled_in("/FT /Ch /T (f1) /Opt [ (x) (§) ] /V [ (x) (§) ]"),
    "a choice that was not made": filled_in("/FT /Ch /T (f1) /Opt [ (x) (§) ] /V (x)", left_out=CHOICES),
    "a check box": filled_in("/FT /Btn /T (§) /V /Yes /AS /Yes"),
    "a push button": filled_in("/FT /Btn /Ff 65536 /T (f1) /MK << /CA (§) >>"),
    "a part of a field": upon(
        "/Subtype /Widget /Parent 101 0 R",
        catalog="/AcroForm << /Fields [ 101 0 R ] >>",
        objects={101: "<< /FT /Tx /T (f1) /V (§) /Kids [ 100 0 R ] >>"},
    ),
    "a field that stands twice": page(
        "", more="/Annots [ 100 0 R 102 0 R ]", catalog="/AcroForm << /Fields [ 101 0 R ] >>",
        objects={
            100: "<< /Subtype /Widget /Rect [ 0 0 9 9 ] /Parent 101 0 R >>",
            101: "<< /FT /Tx /T (f1) /V (§) /Kids [ 100 0 R 102 0 R ] >>",
            102: "<< /Subtype /Widget /Rect [ 0 0 9 9 ] /Parent 101 0 R >>",
        },
    ),
    "a field that stands on two pages": Construct(
        lambda sentence: pdf(
            [{"content": lines(BEFORE), "more": "/Annots [ 100 0 R ]"}, {"content": lines(BEHIND), "more": "/Annots [ 102 0 R ]"}],
            "/AcroForm << /Fields [ 101 0 R ] >>",
            {
                100: "<< /Subtype /Widget /Rect [ 0 0 9 9 ] /Parent 101 0 R >>",
                101: f"<< /FT /Tx /T (f1) /V ({sentence}) /Kids [ 100 0 R 102 0 R ] >>",
                102: "<< /Subtype /Widget /Rect [ 0 0 9 9 ] /Parent 101 0 R >>",
            },
        )
    ),
    "the chosen one of some buttons": page(
        "", more="/Annots [ 100 0 R 102 0 R ]", catalog="/AcroForm << /Fields [ 101 0 R ] >>",
        objects={
            100: "<< /Subtype /Widget /Rect [ 0 0 9 9 ] /Parent 101 0 R /AS /Off >>",
            101: "<< /FT /Btn /Ff 32768 /T (§) /V /B /Kids [ 100 0 R 102 0 R ] >>",
            102: "<< /Subtype /Widget /Rect [ 0 0 9 9 ] /Parent 101 0 R /AS /B >>",
        },
    ),
    "a field on no page": page(
        "", catalog="/AcroForm << /Fields [ 100 0 R ] >>", objects={100: "<< /FT /Tx /T (f1) /V (§) >>"}
    ),
    "a field that is on no page by mistake": page(
        "", catalog="/AcroForm << /Fields [ 100 0 R ] >>", objects={100: "<< /Subtype /Widget /Rect [ 0 0 9 9 ] /FT /Tx /V (§) >>"}
    ),
    "a hidden field": filled_in("/FT /Tx /T (f1) /V (§) /F 2", left_out="hidden fields"),
    "a password": filled_in("/FT /Tx /T (f1) /Ff 8192 /V (§)", left_out="passwords"),
    "a signature": filled_in("/FT /Sig /T (f1) /V << /Type /Sig /Reason (§) >>", left_out="signatures"),
    "a form of XFA": page("", catalog="/AcroForm << /Fields [ ] /XFA (§) >>", left_out="XFA forms"),
    # ---- what lies upon the page
    "a text written onto the page": upon("/Subtype /FreeText /Contents (§)"),
    "a text written with formats": upon("/Subtype /FreeText /RC (<body><p>Notice is <b>three</b> months.</p></body>)"),
    "the drawing of a stamp": upon("/Subtype /Stamp /AP << /N 101 0 R >>", objects={101: stream(SHOWN, FORM_FONT)}),
    "the drawing of a watermark": upon("/Subtype /Watermark /AP << /N 101 0 R >>", objects={101: stream(SHOWN, FORM_FONT)}),
    "a text written onto the page and its drawing": upon(
        "/Subtype /FreeText /Contents (§) /AP << /N 101 0 R >>", objects={101: stream(SHOWN, FORM_FONT)}
    ),
    "a note": upon("/Subtype /Text /Contents (§)", left_out=NOTES),
    "a note of a highlight": upon("/Subtype /Highlight /Contents (§)", left_out=NOTES),
    "a note of a stamp": upon("/Subtype /Stamp /Contents (§)", left_out=NOTES),
    "a note in a stream": upon("/Subtype /Text /Contents 101 0 R", objects={101: stream("x")}, left_out=NOTES),
    "a note with its popup": page(
        "", more="/Annots [ 100 0 R 101 0 R ]", left_out=NOTES,
        objects={
            100: "<< /Subtype /Text /Rect [ 0 0 9 9 ] /Contents (§) /Popup 101 0 R >>",
            101: "<< /Subtype /Popup /Rect [ 0 0 9 9 ] /Contents (§) /Parent 100 0 R >>",
        },
    ),
    "a link's description": upon("/Subtype /Link /Contents (§)", left_out=NOTES),
    "a file on the page": upon(
        "/Subtype /FileAttachment /FS << /Type /Filespec /F (a.txt) /EF << /F 101 0 R >> >>",
        objects={101: stream("§".encode("latin-1"), "/Type /EmbeddedFile")}, left_out=ATTACHED,
    ),
    "an attached file": page(
        "", catalog="/Names << /EmbeddedFiles << /Names [ (a.txt) 101 0 R ] >> >>", left_out=ATTACHED,
        objects={
            100: stream("§".encode("latin-1"), "/Type /EmbeddedFile"),
            101: "<< /Type /Filespec /F (a.txt) /EF << /F 100 0 R >> >>",
        },
    ),
    "a video": upon("/Subtype /RichMedia", left_out="recordings"),
    "a model in three dimensions": upon("/Subtype /3D", left_out="embedded objects"),
    # ---- pages
    "another page": Construct(
        lambda sentence: pdf([{"content": lines(text)} for text in (BEFORE, sentence, BEHIND)])
    ),
    "a scanned page": Construct(
        lambda sentence: pdf(
            [{"content": lines(BEFORE)}, {"content": "/X0 Do", "resources": "/XObject << /X0 100 0 R >>"},
             {"content": lines(BEHIND)}], "", {100: IMAGE},
        ),
        left_out="pages without text",
    ),
    "a page with a form only": Construct(
        lambda sentence: pdf(
            [{"content": lines(BEFORE)}, {"more": "/Annots [ 100 0 R ]"}, {"content": lines(BEHIND)}], "",
            {100: f"<< /Subtype /FreeText /Rect [ 0 0 9 9 ] /Contents ({sentence}) >>"},
        ),
    ),
    "a title in the outline": page(
        SHOWN, catalog="/Outlines 100 0 R",
        objects={100: "<< /First 101 0 R /Last 101 0 R /Count 1 >>", 101: "<< /Title (§) /Parent 100 0 R /Dest [ 10 0 R /Fit ] >>"},
    ),
    "a title that leads nowhere": page(
        SHOWN, catalog="/Outlines 100 0 R", also=("entries of the outline that lead nowhere",),
        objects={100: "<< /First 101 0 R /Last 101 0 R /Count 1 >>", 101: "<< /Title (x) /Parent 100 0 R >>"},
    ),
}  # fmt: skip
