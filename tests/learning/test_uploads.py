import numpy as np

from learning.uploads import Upload


def test_kinds_keep_their_numbers_because_they_are_stored_in_tables():
    assert {kind.name: int(kind) for kind in Upload} == {
        "TRAINED": 0,
        "GLOBAL_COPY": 1,
        "REPLAY": 2,
        "NOISE": 3,
        "PEER_COPY": 4,
    }


def test_kinds_fit_an_int8_column():
    column = np.array(list(Upload), dtype=np.int8)
    assert [Upload(int(number)) for number in column] == list(Upload)
