import numpy as np

from learning.uploads import Upload, copies, plants, poisons, recalls, works


def test_kinds_keep_their_numbers_because_they_are_stored_in_tables():
    assert {kind.name: int(kind) for kind in Upload} == {
        "TRAINED": 0,
        "GLOBAL_COPY": 1,
        "REPLAY": 2,
        "NOISE": 3,
        "PEER_COPY": 4,
        "SHUFFLE": 5,
        "SIGN_FLIP": 6,
        "SAME_VALUE": 7,
        "RANDOM": 8,
        "OWN_LAST": 9,
        "LABEL_FLIP": 10,
        "BACKDOOR": 11,
        "REPLACEMENT": 12,
        "BOOST": 13,
        "NOISY": 14,
        "NOISY_COPY": 15,
        "SCALED_REPLAY": 16,
    }


def test_kinds_fit_an_int8_column():
    column = np.array(list(Upload), dtype=np.int8)
    assert [Upload(int(number)) for number in column] == list(Upload)


def test_who_spoils_its_upload_has_trained_for_it_and_who_makes_one_up_has_not():
    column = np.array([Upload.TRAINED, Upload.SHUFFLE, Upload.RANDOM, Upload.SIGN_FLIP, Upload.OWN_LAST], dtype=np.int8)
    assert works(column).tolist() == [True, True, False, True, False]
    trained = {"TRAINED", "SHUFFLE", "SIGN_FLIP", "BOOST", "NOISY", "LABEL_FLIP", "BACKDOOR", "REPLACEMENT"}
    assert {kind.name for kind in Upload if works(kind)} == trained


def test_some_kinds_need_earlier_uploads():
    again = {"REPLAY", "SCALED_REPLAY", "PEER_COPY", "OWN_LAST", "NOISY_COPY"}
    assert {kind.name for kind in Upload if recalls(kind)} == again
    assert {kind.name for kind in Upload if copies(kind)} == {"PEER_COPY", "NOISY_COPY"}


def test_some_kinds_are_trained_on_falsified_data_and_some_of_these_plant_a_backdoor():
    assert {kind.name for kind in Upload if poisons(kind)} == {"LABEL_FLIP", "BACKDOOR", "REPLACEMENT"}
    assert {kind.name for kind in Upload if plants(kind)} == {"BACKDOOR", "REPLACEMENT"}
    assert not [kind for kind in Upload if poisons(kind) and not works(kind)]
