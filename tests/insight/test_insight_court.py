"""The court on a made-up machine: budgets, turns, verdicts, sentences, and judging again."""

from __future__ import annotations

import json
import re
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_up_bench import SUBJECT, MadeUpBench, calm, facts, recording_truths
from noisy_machine import NoisyMachine

from hotloop.errors import ArgumentError, SavedRunError
from hotloop.files import seal
from hotloop.insight.claims import CLAIMS, find_claim
from hotloop.insight.claims.claim import Standing
from hotloop.insight.claims.court import Sitting, measure, rule
from hotloop.insight.claims.evidence import Evidence, Facts, read_evidence
from hotloop.insight.claims.figures import a_step
from hotloop.insight.verdict import Verdict

RECORDING = find_claim("recording")


def tried(bench, claim=RECORDING, budget_s=30.0, **settings):
    return measure(claim, bench, Sitting(budget_s, clock=bench.machine.clock, **settings))


@pytest.fixture(scope="module")
def evidence():
    return tried(MadeUpBench(calm(), recording_truths(0.4)))


@pytest.fixture(scope="module")
def ruling(evidence):
    return rule(evidence)


def test_the_homework_is_answered(ruling):
    verdicts = {answer.key: answer.verdict for answer in ruling.answers}
    assert verdicts == {
        "cost": Verdict.COSTS,
        "share": Verdict.EQUIVALENT,
        "linear": Verdict.EQUIVALENT,
        "real": Verdict.EQUIVALENT,
        "compute": Verdict.SAVES,
        "asynchronous": Verdict.EQUIVALENT,
        "gpu": None,
        "append": Verdict.EQUIVALENT,
        "noise": Verdict.EQUIVALENT,
    }
    assert ruling.standing is Standing.FAILS
    assert ruling.answer("cost").effect.contains(0.4)
    assert ruling.answer("compute").effect.contains(100 * 0.17 / 130)


def test_sentences_tell_what_was_measured(ruling):
    assert "and 0.4" in ruling.answer("cost").sentence
    assert "20,000 records" in ruling.answer("share").sentence
    assert "of a run of 2.6 s" in ruling.answer("share").sentence or "2.6 s" in ruling.answer("share").sentence
    assert "torch sees no GPU here" in ruling.answer("gpu").sentence
    assert "1/310" in ruling.answer("compute").sentence
    assert re.search(r"takes 1[78]\d ns", ruling.answer("compute").sentence)
    assert "190 records more" in ruling.answer("noise").sentence
    assert "straight line" in ruling.answer("append").sentence


def test_a_run_pays_for_the_first_record_of_each_step():
    """It can cost more than those that follow at once: then a line through many a step says too little."""
    found = rule(tried(MadeUpBench(calm(2), recording_truths(0.4, first_us=3.0))))
    assert found.answer("cost").effect.contains(0.4)
    assert re.search(r"takes 3\.\d+ us \[[\d., ]+\] where a step has one, and 0\.\d+ us", found.answer("cost").sentence)
    assert found.answer("share").verdict is Verdict.COSTS
    assert found.answer("share").effect.contains(100 * 3.4 / 130)
    assert found.answer("real").verdict is Verdict.EQUIVALENT


def test_other_truths_make_other_sentences():
    truths = recording_truths(20.0, item_us=60.0, grown_us=0.5, bend_us=30.0)
    truths["compute"][1] = ("its arithmetic at this core's peak", 0, 100.0)
    found = rule(tried(MadeUpBench(calm(1), truths)))
    assert {answer.key: answer.verdict for answer in found.answers if answer.key != "noise"} == {
        "cost": Verdict.COSTS,
        "share": Verdict.COSTS,
        "linear": Verdict.COSTS,
        "real": found.answer("real").verdict,
        "compute": Verdict.COSTS,
        "asynchronous": Verdict.COSTS,
        "gpu": None,
        "append": Verdict.COSTS,
    }
    assert found.standing is Standing.HOLDS
    assert found.answer("linear").sentence.startswith("No:")
    assert found.answer("compute").sentence.startswith("Yes:")
    assert found.answer("append").sentence.startswith("Not here")


def test_a_restless_machine_is_told_to_be_so():
    wild = NoisyMachine(2, mood=0.3, jitter=0.5, interrupted=0.5)
    found = rule(tried(MadeUpBench(wild, recording_truths(0.4)), budget_s=8))
    open_ = [answer for answer in found.answers if answer.verdict is Verdict.CANNOT_TELL]
    assert found.answer("share") in open_ or found.answer("linear") in open_
    assert all("Open:" in answer.sentence and "more blocks" in answer.sentence for answer in open_)
    assert found.standing in (Standing.CANNOT_TELL, Standing.VOID)


def test_a_base_that_differs_from_itself_voids_its_answers(evidence):
    measured = evidence.measured["item"]
    shifted = replace(measured, blocks=tuple(map(a_a_is_slower, measured.blocks)))
    found = rule(replace(evidence, measured={**evidence.measured, "item": shifted}))
    assert found.answer("asynchronous").verdict is Verdict.VOID
    assert "too restless" in found.answer("asynchronous").sentence
    assert found.answer("cost").verdict is Verdict.COSTS
    assert "A/A differs: void" in str(found)


def a_a_is_slower(block):
    seconds = block.seconds.copy()
    seconds[block.arm == len(block.names) - 1] *= 1.1
    return replace(block, seconds=seconds)


def test_few_blocks_are_never_enough(evidence):
    few = {name: replace(found, blocks=found.blocks[:4]) for name, found in evidence.measured.items()}
    found = rule(replace(evidence, measured=few))
    assert {answer.verdict for answer in found.answers} == {Verdict.CANNOT_TELL, None}
    assert "4 of 5 blocks at least" in found.answer("cost").sentence


@pytest.mark.parametrize(("budget_s", "starting_s"), [(10, 0), (30, 0), (30, 10), (30, 28)])
def test_it_ends_in_time_and_every_experiment_had_its_turn(budget_s, starting_s):
    # A calm machine would know enough before the time is up.
    machine = NoisyMachine(3, jitter=0.3)
    bench = MadeUpBench(machine, recording_truths(0.4), starting_s=starting_s)
    found = tried(bench, budget_s=budget_s)
    assert machine.now_s <= max(budget_s, starting_s + 0.4 * budget_s) + 0.5
    assert machine.now_s >= 0.8 * budget_s
    assert set(found.measured) == {"records", "real", "compute", "item", "runs", "append"}
    assert all(len(each.blocks) >= 5 for each in found.measured.values())
    spent = {name: sum(block.seconds.sum() for block in each.blocks) for name, each in found.measured.items()}
    assert max(spent, key=spent.get) == "records"


def test_what_is_known_closely_enough_is_left_alone():
    machine = NoisyMachine(0, mood=0.001, jitter=0.001, interrupted=0, drift=0, warm_up=0)
    found = tried(MadeUpBench(machine, recording_truths(0.4)), budget_s=600)
    assert found.measured["records"].ended == "narrow enough"
    assert machine.now_s < 300


def test_an_experiment_that_fails_is_told_and_the_others_go_on():
    found = tried(MadeUpBench(calm(), recording_truths(0.4), failing={"item": 0, "append": 8}))
    answers = rule(found)
    assert answers.answer("asynchronous").verdict is None
    assert "the process was ended by signal 9" in answers.answer("asynchronous").sentence
    assert len(found.measured["append"].blocks) == 8
    assert answers.answer("append").verdict is Verdict.EQUIVALENT
    assert answers.answer("cost").verdict is Verdict.COSTS


def test_an_interrupt_hands_over_what_there_is():
    bench = MadeUpBench(calm(), recording_truths(0.4))
    kept, real = [], bench.block

    def interrupted(*arguments):
        if len(bench.ran) == 20:
            raise KeyboardInterrupt
        return real(*arguments)

    bench.block = interrupted
    with pytest.raises(KeyboardInterrupt):
        tried(bench, on_evidence=kept.append)
    assert sum(len(each.blocks) for each in kept[0].measured.values()) == 20
    assert rule(kept[0]).answers


def test_blocks_in_one_process_share_the_budget():
    truths = {"compiled": [("eager", 0, 130.0), ("torch.compile(model)", 0, 100.0)]}
    bench = MadeUpBench(calm(), truths)
    found = rule(tried(bench, find_claim("compile"), budget_s=10))
    assert found.answer("step").verdict is Verdict.SAVES
    # 20,000 steps win 0.6 s, compiling took 3.
    assert found.answer("run").verdict is Verdict.COSTS
    assert found.answer("run").effect.value == pytest.approx(3 - 20_000 * 30e-6, rel=0.05)
    assert "compiling takes 3.0 s" in found.answer("run").sentence
    assert found.standing is Standing.HOLDS


TWO_WAYS = {
    "forward": {"step": ("model(x)", "model.forward(x)"), "call": ("model(x)", "model.forward(x)")},
    "zero-grad": {"gradients": ("set_to_none=False", "set_to_none=True")},
    "detach": {"reading": ("loss.item() at once", "loss.detach(), read at the end")},
    "dataloader": {"loader": ("indexing tensors", "DataLoader")},
    "float64": {"precision": ("float64", "float32")},
    "autocast": {"autocast": ("float32", "autocast")},
    "gc": {"collector": ("collector on", "collector off")},
    "gpu": {"devices": ("CPU", "GPU")},
    "denormals": {
        "flushing": ("denormals kept", "flushed to zero"),
        "product": ("a product of normal numbers", "of denormal numbers"),
    },
    "fused": {"optimizer": ("one tensor after another", "foreach=True", "fused=True")},
    "threads": {"threads": ("1 thread", "2 threads")},
}


@pytest.mark.parametrize("name", TWO_WAYS)
@pytest.mark.parametrize(
    ("other_us", "verdict"), [(130, Verdict.EQUIVALENT), (150, Verdict.COSTS), (110, Verdict.SAVES)]
)
def test_each_verdict_has_its_sentence_and_standing(name, other_us, verdict):
    truths = {
        experiment: [(arm, 0, 130.0 if k == 0 else other_us) for k, arm in enumerate(arms)]
        for experiment, arms in TWO_WAYS[name].items()
    }
    machine = NoisyMachine(1, mood=0.02, jitter=0.002, interrupted=0.01)
    found = rule(tried(MadeUpBench(machine, truths, missing={}), find_claim(name), budget_s=12))
    assert {answer.verdict for answer in found.answers} == {verdict}
    believed = Verdict.EQUIVALENT if name == "dataloader" else Verdict.SAVES
    assert found.standing is (Standing.HOLDS if verdict is believed else Standing.FAILS)
    for answer in found.answers:
        assert "%" in answer.sentence
        assert "us" in answer.sentence
        assert "{" not in answer.sentence


@pytest.mark.parametrize(("line_us", "standing"), [(1.0, Standing.FAILS), (3000.0, Standing.HOLDS)])
def test_printing_is_judged_by_the_whole_run(line_us, standing):
    levels = [(a_step(m, "line"), m, 130.0 + m * line_us) for m in (0, 1, 2, 4, 8)]
    bench = MadeUpBench(calm(), {"nowhere": levels, "terminal": levels}, missing={})
    found = rule(tried(bench, find_claim("printing"), budget_s=300))
    assert found.standing is standing
    # Blocks of long lines last for seconds, in which the made-up machine gets slower.
    assert found.answer("line").effect.value == pytest.approx(line_us, rel=0.1)


def test_judging_again_gives_the_same(evidence, ruling, tmp_path):
    path = tmp_path / "raw.json"
    path.write_bytes(evidence.to_bytes())
    again = rule(read_evidence(path))
    assert json.dumps(again.to_json()) == json.dumps(ruling.to_json())
    assert str(again) == str(ruling)


def test_it_fits_a_screen(ruling):
    lines = str(ruling).splitlines()
    assert max(map(len, lines)) <= 96
    assert len(lines) <= 60
    assert str(ruling).isascii()


def test_every_claim_has_a_belief_and_a_prediction():
    assert len(CLAIMS) >= 10
    assert all(claim.belief().endswith(".") and claim.prediction() for claim in CLAIMS.values())


def test_unknown_names_are_refused_with_near_ones():
    with pytest.raises(ArgumentError, match="Did you mean 'recording'"):
        find_claim("recordings")


@pytest.mark.no_cover
@pytest.mark.parametrize("byte", range(0, 4000, 191))
def test_every_damaged_byte_is_found(evidence, byte):
    data = bytearray(evidence.to_bytes())
    data[byte] ^= 1
    with pytest.raises(SavedRunError):
        Evidence.from_bytes(bytes(data), "raw.json")


def document(evidence, **changes):
    found = json.loads(evidence.to_bytes())
    del found["sha256"]
    return seal({**found, **changes})


@pytest.mark.parametrize(
    "changes",
    [
        {"claim": "os.system"},
        {"claim": "forward"},
        {"claim": None},
        {"format": "hotloop claim 99"},
        {"measured": []},
        {"measured": {"records": {"ended": "", "blocks": []}}},
        {"measured": {"records": 3}},
        {"figures": {"compile_s": "soon"}},
        {"figures": {"compile_s": True}},
        {"budget_s": "30"},
        {"took_s": None},
        {"facts": {}},
        {"facts": {"subject": {}}},
        {"missing": "all"},
    ],
)
def test_other_documents_are_refused(evidence, changes):
    with pytest.raises((SavedRunError, ArgumentError)):
        rule(Evidence.from_bytes(document(evidence, **changes), "raw.json"))


@pytest.mark.parametrize(
    "change",
    [{"epochs": "20000"}, {"epochs": True}, {"flop": "much"}, {"own_time": 1}, {"threads": None}, {"accelerator": 3}],
)
def test_facts_of_other_types_are_refused(change):
    from dataclasses import asdict

    assert Facts.from_json(asdict(facts())) == facts()
    with pytest.raises(SavedRunError):
        Facts.from_json({**asdict(facts()), **change})
    with pytest.raises(SavedRunError):
        Facts.from_json({**asdict(facts()), "subject": {**vars(SUBJECT), "rows": 0}})


def test_files_that_are_none_are_refused(tmp_path):
    for path in (tmp_path / "missing", tmp_path):
        with pytest.raises(SavedRunError, match="cannot read"):
            read_evidence(path)
    (tmp_path / "foreign").write_text("a,b\n1,2\n")
    with pytest.raises(SavedRunError, match="or measure again"):
        read_evidence(tmp_path / "foreign")
    (tmp_path / "other.json").write_bytes(seal({"format": 1}))
    with pytest.raises(SavedRunError, match=r"no measurements of a claim(?s:.*)or measure again"):
        read_evidence(tmp_path / "other.json")


@settings(max_examples=60)
@given(st.binary(max_size=200))
def test_any_bytes_are_refused(data):
    with pytest.raises(SavedRunError):
        Evidence.from_bytes(data, "raw.json")
