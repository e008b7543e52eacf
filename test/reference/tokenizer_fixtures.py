"""Makes test/fixtures/data/tokenizer.json: BERT's tokenisation written out from its definition (Devlin et al. 2019:
clean, lower-case, strip accents, split at white space and punctuation, greedy longest-match WordPiece), independent of the
library that the project uses.

Run from the repository's root: python3 test/reference/tokenizer_fixtures.py   (standard library only)
"""
import json
import unicodedata

VOCABULARY = (
    '[PAD] [UNK] [CLS] [SEP] [MASK] no pleural effusion is seen present not . , - ( ) / % : ; \' " 1 2 3 5 8 '
    'left right lower lobe nod ##ule ##ules ##s ##ular mm cm cafe na ##ive ##i ##ve x ray x-ray a b ##a ##b 中 文 ½ '
    'cardio ##megaly consolidation un ##known'
).split()


def is_control(character):
    return character not in '\t\n\r' and unicodedata.category(character).startswith('C')


def is_punctuation(character):
    code = ord(character)
    if 33 <= code <= 47 or 58 <= code <= 64 or 91 <= code <= 96 or 123 <= code <= 126:
        return True
    return unicodedata.category(character).startswith('P')


def is_cjk(character):
    code = ord(character)
    return 0x4E00 <= code <= 0x9FFF or 0x3400 <= code <= 0x4DBF or 0x20000 <= code <= 0x2A6DF or 0xF900 <= code <= 0xFAFF


def words(text):
    cleaned = ''
    for character in text:
        if ord(character) in (0, 0xFFFD) or is_control(character):
            continue
        if is_cjk(character):
            cleaned += ' ' + character + ' '
        else:
            cleaned += ' ' if character.isspace() else character
    out = []
    for word in cleaned.split():
        word = ''.join(c for c in unicodedata.normalize('NFD', word.lower()) if unicodedata.category(c) != 'Mn')
        current = ''
        for character in word:
            if is_punctuation(character):
                out += [current] if current else []
                out.append(character)
                current = ''
            else:
                current += character
        out += [current] if current else []
    return out


def pieces(word, vocabulary):
    if len(word) > 100:
        return ['[UNK]']
    out, start = [], 0
    while start < len(word):
        end = len(word)
        while end > start:
            piece = ('##' if start else '') + word[start:end]
            if piece in vocabulary:
                break
            end -= 1
        if end == start:
            return ['[UNK]']
        out.append(piece)
        start = end
    return out


def encode(text):
    vocabulary = {token: index for index, token in enumerate(VOCABULARY)}
    tokens = [piece for word in words(text) for piece in pieces(word, vocabulary)]
    return [vocabulary['[CLS]'], *(vocabulary[t] for t in tokens), vocabulary['[SEP]']]


TEXTS = [
    'No pleural effusion is seen.',
    'NODULES (5 mm) in the left-lower lobe; 1,2/3 cm: "present"',
    'Café naïve CAFE\u0301 x-ray',
    'nodule nodular nodules unknown unheard cardiomegaly',
    'tabs\tand\nlines\r\nno\u00a0effusion \u3000 seen',
    'con\u00adsolidation no\u200beffusion\u0000 no\ufffd',
    '中文no中',
    '½ 8%½',
    'a' * 100 + ' ' + 'a' * 101,
    'aab abba',
    '',
    ' \n ',
    'emoji \U0001F600 no — dash “quotes” ‘left’ …',
]

with open('test/fixtures/data/tokenizer.json', 'w') as file:
    json.dump({'vocabulary': VOCABULARY, 'cases': [{'text': t, 'ids': encode(t)} for t in TEXTS]}, file, indent=0)
    file.write('\n')
