"""The words that say of a value that it is not the answer, and the sentences that are made of them. Pure, linear.

One set for what is wrong, one for what was never meant; whatever hears either takes it from here. A denial is told
by its sentence, not by the word: "this is wrong" is one, "this is not wrong" and "the wrong address" are none.
"""

import re
from typing import Final

WRONG_WORDS: Final = ("wrong", "incorrect", "invalid", "inaccurate", "erroneous", "falsch")
STAND_IN_WORDS: Final = (
    "placeholder",
    "platzhalter",
    "dummy",
    "fake",
    "made up",
    "invented",
    "fictitious",
    "hypothetical",
    "fictional",
    "fabricated",
    "illustrative",
    "mock",
)

WRONG: Final = rf"(?:{'|'.join(WRONG_WORDS)})"
STAND_IN: Final = rf"(?:{'|'.join(STAND_IN_WORDS)}|made-up)"
MISTAKEN: Final = (
    rf"(?:{WRONG}|an? (?:mistake|error)|not (?:quite |really |actually |entirely )?(?:right|correct|valid|accurate))"
)
_INVENTED: Final = rf"(?:{STAND_IN}s?|not real)"
_EXAMPLE: Final = r"(?:examples?|(?:(?<=\ba )|(?<=\bjust )|(?<=\bonly ))samples?)"
"""A sample may also be one that was measured, unless it is said to be just that."""

_ANSWER: Final = r"(?:answer|output|json|response|result|object)"
_VALUE: Final = rf"(?:{_ANSWER}|values?|data|text|numbers?|figures?|one|examples?|placeholders?)"
_NO_ANSWER: Final = (
    r"not (?:the|my|an?) (?:final |real |actual |correct |right |valid |intended )?"
    r"(?:answer|output|result|response|json|value|one)"
)
_ADVERB: Final = (
    r"(?:just|only|merely|simply|probably|likely|clearly|obviously|completely|totally|entirely|purely|all|also|still"
    r"|actually|certainly|definitely)"
)
_CALLED: Final = (
    rf"(?:{_ADVERB} ){{0,2}}(?:an? |the )?"
    rf"(?:{MISTAKEN}(?: {_ANSWER})?|{_INVENTED}(?: {_VALUE})?|{_EXAMPLE}(?: {_VALUE})?|{_NO_ANSWER})(?: only)?"
    r"\b(?!-|'s)"
)
_IS: Final = r"(?: (?:is|was|are|were|looks|seems|would be)|'s)"

_CANNOT_BE: Final = (
    r"(?: cannot| (?:can?|must|could|should) not) be"
    r" (?:the (?:right |final )?answer|right|correct|used|returned)\b(?! to)"
)
_VALUES: Final = (
    r"(?:(?:these|the|all(?: of)?(?: the| these)?) )?(?:values|data|numbers|figures)(?: above| below| here)?"
)
_NOT_MEANT: Final = rf"(?:{_ADVERB} ){{0,2}}(?:an? )?(?:{_INVENTED}|{_EXAMPLE})(?: {_VALUE})?(?: only)?\b(?!-)"
_I_MADE_UP: Final = (
    rf"i(?: have|'ve)?(?: just| simply)? (?:(?:made up|invented) (?:an? |the |these |some |all )?{_VALUE}"
    rf"|made (?:an? |the |these |some |all ){_VALUE} up(?! to))\b"
)

_PART_DENIED: Final = re.compile(
    rf"(?:(?:this|that|it){_IS} )?"
    rf"(?:(?:{_ADVERB} ){{0,2}}(?:an? )?(?:(?:{MISTAKEN}|{_INVENTED})(?: {_VALUE})?|{_NO_ANSWER})(?: only)?"
    r"(?:\W*+\Z|[,;:.] | - | (?:for now|until|because|since)\b)"
    rf"|(?:just|only) an? {_EXAMPLE}(?: {_VALUE})?(?: only)?\W*+\Z)",
    re.IGNORECASE,
)
_WHOLE_DENIED: Final = re.compile(
    rf"(?:(?:this|that|it){_IS} )?(?:{_ADVERB} ){{0,2}}(?:an? )?{_EXAMPLE}(?: {_VALUE})?(?: only)?\W*+\Z"
    r"|for (?:illustration|demonstration)\b",
    re.IGNORECASE,
)
"""What denies a whole value beside it: a single member has an example behind it that says what is meant."""

_INPUT: Final = (
    r"(?:the|your|this|that|their|his|her) (?:texts?|inputs?|e-?mails?|invoices?|documents?|source|original)"
)
_GOES_ON: Final = (
    r"(?=\s*+\Z|[ \t]*+[^\w\s]|[ \t]*+\n| (?:and|because|since|as|so|but|for|here|too|now|again|given|due|though"
    rf"|although|it|the|i|with|to|that|which|please|is|are|(?:in|on|at|from)(?! {_INPUT}))\b)"
)
"""What may follow a denial in its sentence: another noun would be what is wrong, "if" and "when" put conditions."""

_SAID_OF_IT: Final = (
    rf"{_CALLED}(?:(?<=example)(?! of (?!an?\b|the\b|how\b|what\b|your\b|this\b|{_VALUE}\b)\w)|{_GOES_ON})"
)
_NOUN_BEHIND: Final = r"(?:answer|json|value|output|object)"
_SAID_BEHIND: Final = re.compile(
    r"(?:(?:(?:please )?note(?: that)?|but|however|sorry|oops|wait|warning|caution|disclaimer"
    r"|unfortunately|nb)[,:.!]? ){0,2}"
    rf"(?:(?:that|this|(?:the|my) (?:above|(?:previous |above )?{_NOUN_BEHIND}))(?: {_NOUN_BEHIND})?(?: above)?"
    rf"(?:{_IS} (?:{_SAID_OF_IT}|incomplete\b)|{_CANNOT_BE}| (?:does|did) not look (?:right|correct|valid)\b(?!-))"
    rf"|{_VALUES}{_IS} {_NOT_MEANT}{_GOES_ON}|{_I_MADE_UP}"
    rf"|these are {_NOT_MEANT}{_GOES_ON})"
    rf"|(?:(?:{_ADVERB} )(?:an? )?(?:{_INVENTED}|{_EXAMPLE})(?: {_VALUE})?"
    rf"|(?:placeholders?|dummy|made[- ]up|example|sample)(?: {_VALUE})?(?: only)?(?<!example)(?<!sample)|{_NO_ANSWER}"
    r"|for (?:illustration|demonstration)(?: only)?)[ \t]*+(?:[^\w\s:]++[ \t]*+)?+(?:\n|\Z)",
    re.IGNORECASE,
)
"""A sentence that denies, or a line of its own that names nothing else."""

_SAID_ON: Final = re.compile(
    rf",?(?: (?:which|this|that))?(?:{_IS} (?![^\n]*\b(?:if|unless)\b){_SAID_OF_IT}|{_CANNOT_BE})", re.IGNORECASE
)
"""What makes a sentence of the value before it."""

_MARKS: Final = r"[ \t(\[*_#>\u274c\u2717\u2718-]{0,9}"
_BEGINS: Final = rf"(?:\A|[.!?\n]|[ \t]{{2}}){_MARKS}"
_CLAUSE: Final = (
    rf"(?:\A|[.!?;,\n]|[ \t]{{2}}){_MARKS}(?:(?:please|note|that|but|and|so|however|sorry|oops|hmm|wait|warning"
    r"|caution|nb|unfortunately|i think)[,:.!]? ){0,3}"
)
_NEXT: Final = (
    rf"(?:what follows|the (?:following|next)(?: {_VALUE})?|the {_VALUE} below|(?:this|the {_VALUE}) (?:here|below))"
)
_SAID_BEFORE: Final = re.compile(
    rf"(?:{_CLAUSE}(?:this|that|it|here|(?:the|my) (?:final )?(?:answer|output|result|value"
    rf"|response)(?: above)?|{_NEXT})(?:{_IS} {_CALLED}|{_CANNOT_BE})"
    rf"|{_CLAUSE}(?:{_VALUES}{_IS} {_NOT_MEANT}|(?:so )?{_I_MADE_UP})|,(?: and)? (?:just|only|merely) {_CALLED}"
    rf"|{_BEGINS}{_CALLED}(?: (?:is|was|would be))?|{_BEGINS}(?:the |my )?{_VALUE} \({_CALLED}\)"
    rf"|\b(?:{WRONG}|a mistake) to (?:answer|return|say|give|write|output|print))[\s:\"'`*_)\]=>\u2013\u2014-]*\Z"
    rf"|{_CLAUSE}{_NEXT}{_IS} {_CALLED}[\s:\"'`*_.!]*\Z"
    rf"|\b(?:with|using) (?:{_ADVERB} |some )?(?:{STAND_IN}|example) (?:values?|data|numbers?|figures?|fields?)"
    r"(?: only)?[\s:\"'`*_]*\Z",
    re.IGNORECASE,
)
_UNSAID: Final = re.compile(
    r"(?:\b(?:not|no|never|nor|neither|without|hardly|rather than|instead of|unlike|(?:replaced|replacing|removed"
    r"|removing|corrected|correcting|fixed|fixing|ignored|ignoring|filled in|filling in))|n['\u2019]t)"
    r"(?: (?:an?|the|any|all|each|every|just|only|merely|simply|longer|your|my|that|this|these|those|really|actually"
    rf"|contain|contains|use|used|be|been|version|of|in)){{0,4}} [{{<\[]?(?:{WRONG}|{STAND_IN}s?|examples?|samples?)\b",
    re.IGNORECASE,
)
"""Words that would deny a value, but are denied themselves, or spoken of as done away with."""

_NOT: Final = re.compile(r"n't\b", re.IGNORECASE)
_TELLING: Final = (*WRONG_WORDS, *STAND_IN_WORDS, "made-up", "example", "sample")
_TELLING_BEFORE: Final = (*_TELLING, "mistake", "error", "not ", "cannot", "made ")
"""Without one of these no denial is looked for: most answers have none, and finding that out costs little."""


def denies_part(remark: str) -> bool:
    """Return whether a remark within a value, without its marks, says that what stands beside it is not meant."""
    return _PART_DENIED.match(_plain(remark)) is not None


def denies_whole(remark: str) -> bool:
    """Return whether a remark beside a value, without its marks, says that the value is not the answer."""
    return denies_part(remark) or _WHOLE_DENIED.match(_plain(remark)) is not None


def is_denied_before(words: str) -> bool:
    """Return whether the words that end where a value begins say that it is not the answer."""
    said = _plain(words)
    return _holds_any(said, _TELLING_BEFORE) and _SAID_BEFORE.search(said) is not None


def is_denied_behind(words: str) -> bool:
    """Return whether words that begin behind a value say as a sentence that it is not the answer."""
    return _SAID_BEHIND.match(_plain(words)) is not None


def is_denied_on(words: str) -> bool:
    """Return whether words that begin where a value ends make a sentence of it that says it is not the answer."""
    return _SAID_ON.match(_plain(words)) is not None


def without_unsaid(words: str) -> str:
    """Return the words with those blanked that would deny a value, and are denied themselves."""
    if not _holds_any(words, _TELLING):
        return words
    return _UNSAID.sub(lambda found: " " * len(found.group()), words)


def _holds_any(words: str, told: tuple[str, ...]) -> bool:
    folded = words.casefold()
    return any(each in folded for each in told)


def _plain(words: str) -> str:
    """Return the words with "not" written out."""
    return _NOT.sub(" not", words.replace("\u2019", "'"))
