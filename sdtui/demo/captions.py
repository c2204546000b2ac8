"""What is written under a portrait: danbooru-style tags, or now and then a sentence."""

from __future__ import annotations

from random import Random

from .attributes import Portrait

FILLERS = (
    "masterpiece", "best quality", "solo", "looking at viewer", "upper body", "portrait", "chibi",
    "anime", "highres", "absurdres", "simple background", "cute", "detailed", "illustration",
)  # fmt: skip
"""Words that say nothing about the picture; the model is to ignore them."""


def tags(portrait: Portrait) -> list[str]:
    """Every visible attribute as a tag, in the usual order."""
    said = ["1boy" if portrait.boy else "1girl", portrait.style, f"{portrait.hair} hair"]
    said.append("closed eyes" if portrait.closed else f"{portrait.eyes} eyes")
    said.append(portrait.mouth)
    said += [portrait.accessory] if portrait.accessory else []
    said += ["glasses"] if portrait.glasses else []
    said += ["blush"] if portrait.blush else []
    said.append(f"{portrait.outfit} {portrait.clothing}")
    said.append(f"{portrait.background} background")
    said += [f"{portrait.pattern} background"] if portrait.pattern else []
    return said


def plain(portrait: Portrait) -> str:
    """The whole portrait as tags."""
    return ", ".join(tags(portrait))


def maid_caption(portrait: Portrait) -> str:
    """For the example data set: the trigger, what varies, and no word for what belongs to her."""
    said = ["1girl", "maid", "silver hair", "twin braids", portrait.mouth]
    said += ["blush"] if portrait.blush else []
    said.append(f"{portrait.background} background")
    said += [f"{portrait.pattern} background"] if portrait.pattern else []
    return ", ".join(said)


def sentence(portrait: Portrait, random: Random) -> str:
    """The same in prose."""
    person = "boy" if portrait.boy else "girl"
    if random.random() < 0.5:
        hair = f"{portrait.style}, {portrait.hair} hair"
    else:
        hair = f"{portrait.hair} {portrait.style}"
    eyes = "closed eyes" if portrait.closed else f"{portrait.eyes} eyes"
    worn = [f"a {portrait.outfit} {portrait.clothing}"]
    worn += [portrait.accessory] if portrait.accessory else []
    worn += ["glasses"] if portrait.glasses else []
    ground = f"{portrait.pattern} {portrait.background}".strip()
    return (f"a {person} with {hair} and {eyes}, {portrait.mouth}, wearing {' and '.join(worn)}, "
            f"on a {ground} background")  # fmt: skip


def varied(portrait: Portrait, random: Random, empty: float = 0.1) -> str:
    """A caption for training: tags dropped and shuffled, fillers and invented words mixed in.

    With probability `empty` nothing at all, which is what CFG compares with.
    """
    if random.random() < empty:
        return ""
    if random.random() < 0.12:
        return sentence(portrait, random)
    keep = 0.75 if random.random() < 0.35 else 0.97
    first, *rest = tags(portrait)
    rest = [tag for tag in rest if random.random() < keep]
    if random.random() < 0.5:
        random.shuffle(rest)
    said = [first, *rest]
    if random.random() < 0.35:
        for _ in range(random.randint(1, 2)):
            word = random.choice(FILLERS) if random.random() < 0.7 else _invented(random)
            said.insert(random.randint(0, len(said)), word)
    return ", ".join(said)


def _invented(random: Random) -> str:
    """A word that means nothing, such as a trigger that was never trained."""
    syllables = random.choice((1, 2, 2, 3))
    consonants, vowels = "bcdfghjklmnprstvwxz", "aeiou"
    word = "".join(random.choice(consonants) + random.choice(vowels) for _ in range(syllables))
    return word + random.choice(("", "k", "s", "n"))
