"""Text files and pages are read in their encoding, and never in a wrong one without a word."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from dizuo.errors import DataError, VectorError
from dizuo.events import Event, Warned
from dizuo.vectors.knowledge.documents import read_document
from dizuo.vectors.knowledge.documents.decoding import check_encoding, decode_html, decode_text
from dizuo.vectors.knowledge.documents.decoding.labels import codec_of_label

SENTENCES = {
    "zh": "公司每年给员工三十天的假期。请假需要提前两周向主管申请，"
    "并在系统里填写表格。今天天气很好，我们去公园散步。",
    "zh-Hant": "公司每年給員工三十天的假期。請假需要提前兩週向主管申請，"
    "並在系統裡填寫表格。今天天氣很好，我們去公園散步。",
    "ja": "会社は社員に年間三十日の休暇を与えます。休暇は二週間前に上司に申請してください。"
    "今日は天気がいいので散歩に行きましょう。",
    "ko": "회사는 직원에게 매년 삼십 일의 휴가를 줍니다. 휴가는 이 "
    "주 전에 상사에게 신청해야 합니다. 오늘은 날씨가 좋습니다.",
    "ru": "Отпуск составляет двадцать восемь дней в году. Заявление "
    "подаётся за две недели, начальник его подписывает.",
    "uk": "Відпустка становить двадцять чотири дні на рік. Заяву подають за два тижні, її підписує керівник відділу.",
    "el": "Η άδεια είναι τριάντα ημέρες τον χρόνο. Η αίτηση υποβάλλεται "
    "δύο εβδομάδες πριν και την υπογράφει ο διευθυντής.",
    "he": "החופשה השנתית היא שלושים ימים. יש להגיש בקשה למנהל שבועיים מראש, והוא חותם עליה.",
    "ar": "الإجازة السنوية ثلاثون يوما. يجب تقديم الطلب إلى المدير قبل أسبوعين، وهو يوقع عليه.",
    "th": "วันหยุดประจำปีมีสามสิบวัน ต้องยื่นคำขอต่อหัวหน้าล่วงหน้าสองสัปดาห์ และเขาจะลงนาม",
    "de": "Für Beschäftigte gibt es dreißig Tage Urlaub. Anträge "
    "müssen zwei Wochen früher gestellt und geprüft werden.",
    "fr": "Les salariés ont trente jours de congés payés. La demande "
    "doit être déposée deux semaines à l'avance, et signée.",
    "pl": "Urlop wynosi dwadzieścia sześć dni w roku. Wniosek należy "
    "złożyć dwa tygodnie wcześniej i uzyskać zgodę przełożonego.",
    "cs": "Dovolená trvá pět týdnů v roce. Žádost je třeba podat dva týdny předem a vedoucí ji musí schválit.",
    "tr": "Yıllık izin otuz gündür. Başvuru iki hafta önce yapılmalı "
    "ve müdür tarafından imzalanmalıdır, değişiklikler yazılır.",
    "lt": "Kasmetinės atostogos trunka dvidešimt aštuonias dienas. Prašymą "
    "reikia pateikti prieš dvi savaites, jį pasirašo vadovas.",
}  # fmt: skip
WIDE = ("utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be")
ENCODINGS = {
    "zh": ("gb18030", "utf-8", *WIDE), "zh-Hant": ("big5", "utf-8", *WIDE), "ko": ("euc_kr", "utf-8", *WIDE),
    "ja": ("shift_jis", "euc_jp", "iso2022_jp", "utf-8", *WIDE),
    "ru": ("koi8_r", "cp1251", "cp866", "iso8859_5", "mac_cyrillic", "utf-8", *WIDE), "uk": ("koi8_u", "cp1251"),
    "el": ("cp1253", "iso8859_7", "utf-8"), "he": ("cp1255", "iso8859_8"), "ar": ("cp1256", "iso8859_6"),
    "th": ("cp874", "utf-8"), "de": ("cp1252", "mac_roman", "cp850", "utf-8", *WIDE), "fr": ("cp1252", "utf-8"),
    "pl": ("cp1250", "iso8859_2"), "cs": ("cp1250", "iso8859_2"), "tr": ("cp1254",), "lt": ("cp1257",),
}  # fmt: skip
CELLS = [(language, encoding) for language, encodings in ENCODINGS.items() for encoding in encodings]
CASES = Path(__file__).parents[5] / "shared" / "cases" / "documents"
if not CASES.exists():
    CASES = Path("/work/shared/cases/documents")


def cut(language: str, length: int, draw: random.Random) -> str:
    """Return a piece of text: of a sentence, or of many in any order."""
    text = SENTENCES[language]
    if length > len(text) // 2:
        parts = text.replace("。", "。\n").splitlines() if "。" in text else text.split(" ")
        text = (" " if "。" not in text else "").join(draw.choices(parts, k=length))
    start = draw.randrange(min(len(SENTENCES[language]), len(text) - length))
    return text[start : start + length].strip()


@pytest.mark.parametrize(("language", "encoding"), CELLS)
def test_no_text_is_read_wrong_without_a_word(language: str, encoding: str) -> None:
    draw = random.Random(f"{language} {encoding}")
    right = dict.fromkeys((2, 6, 20, 100, 1000), 0)
    for length in right:
        for _ in range(8):
            text = cut(language, length, draw)
            raw = text.encode(encoding)
            if length == 2 and raw.isascii():
                continue  # four bytes that are letters of ASCII are nothing else
            try:
                decoded = decode_text(raw)
            except DataError:
                assert length < 6, f"{text!r} is text"
                continue
            right[length] += decoded.text == text
            assert decoded.text == text or decoded.warnings, f"{text!r} was read as {decoded}"
            assert decoded.warnings or raw.isascii() or encoding == "utf-8", (
                f"{encoding} is a guess, and nobody said so"
            )
            assert all(decoded.encoding in told for told in decoded.warnings)
            assert decode_text(raw, decoded.encoding).text == decoded.text, "the name that is told can be given"
    assert right[100] >= 7, right
    assert right[1000] == 8, right


def test_most_texts_of_six_characters_are_guessed_right() -> None:
    draw = random.Random(6)
    right = total = 0
    for language, encoding in CELLS:
        for text in (cut(language, 6, draw) for _ in range(8)):
            if not text.isascii():
                total += 1
                right += decode_text(text.encode(encoding)).text == text
    assert right / total > 0.9, f"{right} of {total}"


SHORT = {
    "utf16le_no_bom.txt": ("hello world", "utf-16le"),
    "gbk_6_characters.txt": ("今天天气很好", "gb18030"),
    "koi8r.txt": ("Отпуск составляет двадцать восемь дней в году.", "koi8-r"),
}


@pytest.mark.parametrize("name", SHORT)
def test_files_that_were_read_wrong_are_read_and_the_guess_is_told(name: str, tmp_path: Path) -> None:
    text, encoding = SHORT[name]
    raw = text.encode(codec_of_label(encoding) or encoding)
    if CASES.exists():
        assert (CASES / name).read_bytes() == raw
    (tmp_path / name).write_bytes(raw)
    heard: list[Event] = []
    assert read_document(tmp_path / name, watch=heard.append).text == text
    (told,) = [event.text for event in heard if isinstance(event, Warned)]
    assert told == (
        f"{name}: its encoding is not stated; it was read as {encoding}, which is a guess: "
        "name another with encoding= if that is wrong"
    )


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-be", "utf-32", "utf-32-be", "utf-16-le"])
@pytest.mark.parametrize("text", ["a", "hello", "今天天气", "Привет, мир", "𝒳😀"])
def test_a_mark_is_believed_without_a_word(encoding: str, text: str) -> None:
    raw = ("" if encoding in ("utf-8-sig", "utf-16", "utf-32") else "\ufeff") + text
    decoded = decode_text(raw.encode(encoding))
    assert (decoded.text, decoded.warnings) == (text, ())
    assert decode_html(f"\ufeff<meta charset=gbk>{text}".encode("utf-16-le")).text.endswith(text), (
        "a mark beats a label"
    )


def test_a_named_encoding_is_taken_unless_the_bytes_say_otherwise() -> None:
    assert decode_text("学校".encode("gbk"), "gbk").text == "学校"
    assert decode_text("ѧУ".encode(), "utf-8").text == "ѧУ"
    assert decode_text(b"\xe9t\xe9", "latin-1").text == "été"
    assert decode_text("Привет".encode("koi8-r"), "KOI8-R").warnings == ()
    plain = decode_text("今天天气".encode(), "gbk")
    assert (plain.text, plain.warnings) == ("今天天气", ("it is UTF-8, and was not read as gb18030",))
    marked = decode_text("今天".encode("utf-16"), "gbk")
    assert (marked.text, len(marked.warnings)) == ("今天", 1)
    with pytest.raises(
        DataError, match=r"is not in the encoding gb18030: 3 bytes are no text in it, the first at char"
    ):
        decode_text(b"\xff\xff\xff abc", "gbk")
    for wrong, near in (
        ("gbkk", r"\(did you mean 'gbk'\?\)"),
        ("utf8x", "utf"),
        ("rot13", "no encoding"),
        ("", "no enc"),
    ):
        with pytest.raises(VectorError, match=near):
            decode_text(b"abc", wrong)
    with pytest.raises(VectorError, match="encoding is 8"):
        check_encoding(8)  # type: ignore[arg-type]


def test_bytes_that_are_no_text_are_counted_and_the_rest_is_read() -> None:
    text = "向量数据库支持混合检索。" * 20
    decoded = decode_text(text.encode() + b"\xff\xfe" + "好".encode())
    assert decoded.text == text + "\ufffd好"
    assert decoded.warnings == ("2 bytes are no text in utf-8 and became U+FFFD, the first at character 240",)
    assert decode_text(b"\xff\xfeh\0i\0\0").warnings == (
        "1 byte is no text in utf-16le and became U+FFFD, the first at character 2",
    )
    gbk = decode_html(b"<meta charset=gbk>" + text.encode("gbk") + b"\xff.")
    assert gbk.text.endswith("。\ufffd.")
    assert gbk.warnings == ("1 byte is no text in gb18030 and became U+FFFD, the first at character 258",)


@pytest.mark.parametrize(
    "raw",
    [
        bytes(range(256)) * 4,
        b"\x89PNG\r\n\x1a\n" + bytes(40),
        b"\0" * 64,
        random.Random(1).randbytes(5000),
        b"\x1f\x8b\x08\0" * 9,
    ],
    ids=["all bytes", "PNG", "zeros", "noise", "gzip"],
)
def test_what_is_no_text_is_refused(raw: bytes) -> None:
    with pytest.raises(DataError, match="is not text in any known encoding"):
        decode_text(raw)


def test_text_with_single_nuls_stays_text() -> None:
    assert decode_text(b"a log line\0 with one NUL in it, and more text behind").text.count("\0") == 1


LABELS = {
    "shift_jis": ("①申請～②承認 髙橋", "cp932"),
    "x-sjis": ("髙", "cp932"),
    "euc-jp": ("①髙～日本", "euc_jp"),
    "iso-8859-1": ("“quoted” – 5 €", "cp1252"),
    "latin1": ("…", "cp1252"),
    "us-ascii": ("naïve™", "cp1252"),
    "gb2312": ("镕€朱", "gb18030"),
    "gbk": ("𠀀㐀", "gb18030"),
    "ks_c_5601-1987": ("똠방각하", "cp949"),
    "big5": ("€碁銹恒", "big5hkscs"),
    "iso-8859-9": ("ğ€", "cp1254"),
    "tis-620": ("ก€", "cp874"),
    "koi8-u": ("Відпустка ў", "koi8_u"),
    "visual": ("שלום", "iso8859_8"),
}
"""Label → text that its namesake among Python's codecs cannot read, and the codec that browsers read it with."""


def page(label: str, text: str, codec: str) -> bytes:
    """Return a page that says its encoding."""
    if codec == "euc_jp":  # NEC's characters are not in Python's EUC-JP: they are those of cp932, moved
        body = b"".join(_move(pair.encode("cp932")) for pair in text)
    elif codec == "big5hkscs":
        body = b"".join(one.encode("cp950") if one == "€" else one.encode("big5hkscs") for one in text)
    elif label == "koi8-u":
        body = text.replace("ў", "").encode(codec) + b"\xae"
    else:
        body = text.encode(codec)
    return f'<html><head><meta charset="{label}"></head><body>'.encode() + body + b"</body></html>"


def _move(pair: bytes) -> bytes:
    lead, trail = pair[0] - (0x81 if pair[0] < 0xA0 else 0xC1), pair[1]
    row = 2 * lead + (trail >= 0x9F)
    cell = trail - 0x9F if trail >= 0x9F else trail - 0x40 - (trail > 0x7F)
    return bytes((row + 0xA1, cell + 0xA1))


@pytest.mark.parametrize("label", LABELS)
def test_a_label_means_what_it_means_to_a_browser(label: str) -> None:
    text, codec = LABELS[label]
    decoded = decode_html(page(label, text, codec))
    assert f"<body>{text}</body>" in decoded.text
    assert decoded.warnings == ()


PLACES = {
    "unquoted": b"<meta charset=gbk>",
    "single quotes": b"<META CharSet='gbk'/>",
    "http-equiv": b'<meta http-equiv="Content-Type" content="text/html; charset=gbk">',
    "content first": b"<meta content='text/html;charset = \"gbk\"' http-equiv=content-type>",
    "behind a comment": b"<!-- <meta charset=utf-8> --><meta charset=gbk>",
    "behind an attribute": b'<p title="<meta charset=utf-8>"><meta charset=gbk>',
    "behind an unknown one": b"<meta charset=klingon><meta charset=gbk>",
    "behind another meta": b"<meta name=a content='charset=utf-8'><meta charset=gbk>",
    "an XML declaration": b'<?xml version="1.0" encoding="gbk"?><html>',
    "XHTML": b"<?xml version='1.0' encoding='gbk'?><html xmlns='http://www.w3.org/1999/xhtml'><meta charset=big5>",
    "far behind": b"<html><head>" + b"<link rel=x>" * 200 + b"<meta charset=gbk>",
}


@pytest.mark.parametrize("place", PLACES)
def test_a_label_is_found_where_browsers_find_it(place: str) -> None:
    decoded = decode_html(PLACES[place] + "<p>镕基向量".encode("gbk"))
    assert decoded.text.endswith("<p>镕基向量")
    assert (decoded.encoding, decoded.warnings) == ("gb18030", ())


def test_a_label_that_is_wrong_is_told() -> None:
    chinese = "向量数据库支持混合检索，今天天气很好。"
    wrong = decode_html(b"<meta charset=utf-8>" + chinese.encode("gbk"))
    assert wrong.text.endswith(chinese)
    assert wrong.warnings[0] == "the page says 'utf-8', which it is not"
    as_said = decode_html(b"<meta charset=latin1>" + "déjà vu, 今天".encode())
    assert as_said.encoding == "windows-1252"
    assert "but its bytes are UTF-8" in as_said.warnings[0]
    assert decode_html(b"<meta charset=latin1>" + "déjà vu, 今天".encode(), "utf-8").text.endswith("déjà vu, 今天")
    unknown = decode_html(b"<meta charset=klingon>" + chinese.encode("gbk"))
    assert unknown.text.endswith(chinese)
    assert unknown.warnings[0] == "the page says 'klingon', which is no encoding"
    named = decode_html(b"<meta charset=latin1>" + chinese.encode("gbk"), "gbk")
    assert named.text.endswith(chinese)
    assert named.warnings == ("the page says 'latin1', and was read as gb18030 as you asked",)
    hidden = decode_html(b"<meta charset=hz-gb-2312>" + "汉字".encode("hz"))
    assert hidden.text.endswith("汉字")
    assert "of which browsers show nothing" in hidden.warnings[0]
    assert decode_html(b"<meta charset=utf-16le>" + "今天".encode()).text.endswith("今天")
    assert decode_html(b"<p>\xe9t\xe9").warnings, "a page that says nothing is a guess"


def test_labels_are_those_of_the_standard() -> None:
    assert codec_of_label(" Shift_JIS\n") == "cp932"
    assert codec_of_label("ISO_8859-1:1987") == codec_of_label("ascii") == codec_of_label("L1") == "cp1252"
    assert codec_of_label("utf-7") is None
    assert check_encoding("latin-1") == check_encoding("ASCII") == "cp1252"
    assert check_encoding("cp037") == "cp037"
    assert check_encoding("gb2312") == "gb18030"
