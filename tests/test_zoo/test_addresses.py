# Copyright (c) The mmvc contributors. All rights reserved.
import pytest

from mmvc.utils.errors import UsageError
from mmvc.zoo.addresses import HubFile, is_address, parse_hub_address

COMMIT = 'a701fe449276326c6863f0b735a839bbb7d55f68'


@pytest.mark.parametrize('address, expected', [
    ('hf://user/repo/model.safetensors', HubFile('user/repo', 'model.safetensors', 'main')),
    ('hf://user/repo@v1.0/DVIS++/a/b.pth', HubFile('user/repo', 'DVIS++/a/b.pth', 'v1.0')),
    ('hf://user/repo/a/b.pth@v1.0', HubFile('user/repo', 'a/b.pth', 'v1.0')),
    (f'https://huggingface.co/user/repo/resolve/{COMMIT}/DVIS%2B%2B/b.pth?download=true',
     HubFile('user/repo', 'DVIS++/b.pth', COMMIT)),
    ('https://huggingface.co/user/repo/blob/main/b.pth', HubFile('user/repo', 'b.pth')),
    ('https://example.org/user/repo/resolve/main/b.pth', None),
    ('https://huggingface.co/datasets/user/repo/resolve/main/b.pth', None),
])
def test_addresses_of_the_hub(address, expected):
    assert parse_hub_address(address) == expected
    if expected is not None:
        assert parse_hub_address(str(expected)) == expected
        assert expected.is_pinned == (COMMIT in address)


@pytest.mark.parametrize('address', [
    'hf://', 'hf://user', 'hf://user/repo', 'hf://user/repo/', 'hf://user/repo/../../etc/passwd', 'hf://u/r@/f.pth',
    'hf://user/repo@../x/f.pth', 'hf://us er/repo/f.pth', 'hf://user/repo/a\\b.pth', 'hf:///repo/f.pth',
    'hf://user/repo/f\n.pth',
])
def test_what_names_no_file(address):
    with pytest.raises(UsageError, match='does not name a file of the hub: it must be like hf://user/repository/'):
        parse_hub_address(address)


def test_the_page_of_a_repository_is_no_file():
    with pytest.raises(UsageError, match='is a page of a repository, not one of its files: give hf://user/repo/FILE'):
        parse_hub_address('https://huggingface.co/user/repo/tree/main')


@pytest.mark.parametrize('name, expected', [
    ('https://example.org/a.pth', True), ('hf://user/repo/a.pth', True), ('s3://bucket/a.pth', True),
    ('a.pth', False), ('C:/a.pth', False), ('dvispp_vitl_vspw_offline', False), ('odd://', True), ('://a', False),
])
def test_addresses_and_paths(name, expected):
    assert is_address(name) is expected
