"""The drawn data set: reproducible, labelled truthfully, and without the maid."""

import json
from random import Random

import numpy as np
import torch
from PIL import Image
from transformers import CLIPTokenizer

from sdtui.demo import captions, dataset, evaluate, judge, judge_stage, maid_dir, model_dir, probes
from sdtui.demo import tokenizer as vocabulary
from sdtui.demo.labels import LABELS, classes, values


def test_a_picture_follows_from_its_set_and_number():
    first, again = (np.asarray(dataset.picture("train", 7)) for _ in range(2))
    assert first.shape == (128, 128, 3)
    assert (first == again).all()
    assert (first != np.asarray(dataset.picture("train", 8))).any()


def test_a_larger_picture_is_the_same_one_drawn_larger():
    small = np.asarray(dataset.picture("test", 3), dtype=float)
    large = dataset.picture("test", 3, 256).resize((128, 128), Image.Resampling.BOX)
    assert np.abs(small - np.asarray(large, dtype=float)).mean() < 3


def test_the_base_set_has_every_class_but_the_maids():
    portraits = [dataset.portrait("train", index) for index in range(2000)]
    for number, (name, choices) in enumerate(LABELS.items()):
        seen = {choices[classes(portrait)[number]] for portrait in portraits}
        assert set(choices) - seen <= {"silver", "braids", "maid headband", "maid"}, name
        assert not seen & {"silver", "braids", "maid headband", "maid"}, name


def test_captions_name_what_is_drawn():
    for index in range(200):
        portrait = dataset.portrait("test", index)
        text = captions.plain(portrait)
        shown = values(portrait)
        assert f"{shown['hair']} hair" in text
        assert f"{shown['outfit']} {shown['clothing']}" in text
        assert f"{shown['background']} background" in text
        assert (shown["glasses"] == "yes") == ("glasses" in text)


def test_training_captions_are_sometimes_empty_and_never_lie():
    portrait = dataset.portrait("test", 0)
    texts = [captions.varied(portrait, Random(number)) for number in range(400)]
    assert 0.04 < texts.count("") / len(texts) < 0.17
    wrong = {f"{colour} hair" for colour in LABELS["hair"]} - {f"{portrait.hair} hair"}
    assert not any(words in text for text in texts for words in wrong)


def test_probes_and_judge_read_drawings(tmp_path):
    numbers = range(2_000_000, 2_000_048)
    portraits = [dataset.portrait("test", number) for number in numbers]
    images = [dataset.picture("test", number) for number in numbers]
    rows = evaluate.table(portraits, images)
    for row in rows:
        assert row.followed >= 97, row
        assert row.probe is None or row.probe >= 97, row
    assert all(row.control < 75 for row in rows if row.attribute in ("hair", "outfit", "eyes"))


def test_the_judge_knows_the_maid_and_counts_heads():
    own = judge.load()
    seen = judge.look(own, [dataset.picture("maid", number) for number in range(5000, 5016)])
    assert {words["clothing"] for words in seen} == {"maid"}
    assert {words["style"] for words in seen} == {"braids"}
    assert {words["heads"] for words in seen} == {"one"}
    two = Image.new("RGB", (256, 256))
    for corner in ((0, 0), (128, 0), (0, 128), (128, 128)):
        two.paste(dataset.picture("test", sum(corner)), corner)
    assert judge.look(own, [two])[0]["heads"] == "other"


def test_judge_accuracy_counts_wrong_answers():
    blind = judge.Judge().eval()
    torch.nn.init.zeros_(blind.head.weight)
    shares = judge_stage.accuracy(blind, "test", 24)
    assert shares["hair"] < 0.5 and shares["background"] < 0.6


def test_probes_see_another_colour():
    image = dataset.picture("test", 5)
    portrait = dataset.portrait("test", 5)
    swapped = Image.fromarray(np.asarray(image)[:, :, ::-1].copy())
    before, after = probes.look(image, portrait), probes.look(swapped, portrait)
    assert before["hair"] == portrait.hair
    assert before != after


def test_every_word_of_a_caption_is_one_token(tmp_path):
    vocabulary.write(tmp_path)
    tokenizer = CLIPTokenizer.from_pretrained(tmp_path)
    for word in vocabulary.words():
        assert len(tokenizer.tokenize(word)) == 1, word
    shipped = json.loads((model_dir() / "tokenizer" / "vocab.json").read_text())
    assert shipped == tokenizer.get_vocab()


def test_the_maid_set_is_twenty_pictures_with_captions():
    pictures = sorted(maid_dir().glob("*.png"))
    assert len(pictures) == 20
    for number, path in enumerate(pictures):
        drawn = np.asarray(dataset.picture("maid", number))
        assert (np.asarray(Image.open(path).convert("RGB")) == drawn).all()
        assert "maid" in path.with_suffix(".txt").read_text()
