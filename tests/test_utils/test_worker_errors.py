# Copyright (c) The mmvc contributors. All rights reserved.
import pytest
from torch.utils.data import DataLoader, Dataset

from mmvc.utils.errors import DataError
from mmvc.utils.worker_errors import message_of


class Broken(Dataset):

    def __init__(self, message):
        self.message = message

    def __len__(self):
        return 1

    def __getitem__(self, index):
        try:
            raise DataError('the cause')
        except DataError as error:
            raise DataError(self.message) from error


@pytest.mark.parametrize('workers', [0, 1])
@pytest.mark.parametrize('message', ['a mask is missing', 'line one\nline two', 'it says "ValueError: 3"', ''])
def test_the_message_is_that_of_the_worker(workers, message):
    with pytest.raises(DataError) as caught:
        next(iter(DataLoader(Broken(message), num_workers=workers)))
    assert (workers == 1) == ('Traceback' in str(caught.value))
    assert message_of(caught.value) == message


def test_other_messages_stay():
    for message in ('Caught a fish. ValueError: 3', '', 'plain'):
        assert message_of(ValueError(message)) == message
