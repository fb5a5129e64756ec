# Copyright (c) The mmvc contributors. All rights reserved.
import sys

import cv2
import numpy as np
import pytest
import torch

from mmvc.challenge.correction import BackendError, TransformersBackend, make_question

QUESTION = make_question('water', ('sea', 'lake'))
TEMPLATE = ("{% for message in messages %}{% for part in message['content'] %}"
            "{% if part['type'] == 'image' %}<image> {% else %}{{ part['text'] }}{% endif %}"
            '{% endfor %}{% endfor %}')


@pytest.fixture(scope='module')
def model_dir(tmp_path_factory):
    """A LLaVA of two tiny layers with random weights; whatever it sees, its answer is "lake", again and again."""
    transformers = pytest.importorskip('transformers', minversion='4.46')
    tokenizers = pytest.importorskip('tokenizers')
    words = ['lake', '<image>', '<unk>', '<pad>', *sorted(set(QUESTION.replace(',', ' ,').replace('?', ' ?').split()))]
    tokenizer = tokenizers.Tokenizer(tokenizers.models.WordLevel(
        {word: index for index, word in enumerate(dict.fromkeys(words))}, unk_token='<unk>'))
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    tokenizer = transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, unk_token='<unk>', pad_token='<pad>', additional_special_tokens=['<image>'])
    size = dict(num_hidden_layers=2, num_attention_heads=2, hidden_size=16, intermediate_size=16)
    config = transformers.LlavaConfig(
        text_config=transformers.LlamaConfig(
            vocab_size=len(tokenizer), num_key_value_heads=2, max_position_embeddings=128, bos_token_id=None,
            eos_token_id=None, pad_token_id=3, tie_word_embeddings=False, **size),
        vision_config=transformers.CLIPVisionConfig(image_size=16, patch_size=8, projection_dim=16, **size),
        image_token_index=1, image_token_id=1, image_seq_length=4)
    torch.manual_seed(0)
    model = transformers.LlavaForConditionalGeneration(config)
    with torch.no_grad():
        model.get_output_embeddings().weight.zero_()  # all logits equal: the first word of the vocabulary
    images = transformers.CLIPImageProcessor(size=dict(shortest_edge=16), crop_size=dict(height=16, width=16))
    processor = transformers.LlavaProcessor(
        image_processor=images, tokenizer=tokenizer, patch_size=8, vision_feature_select_strategy='default',
        num_additional_image_tokens=1, chat_template=TEMPLATE)
    folder = tmp_path_factory.mktemp('tiny_llava')
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
    return str(folder)


@pytest.mark.parametrize('dtype', [None, 'bfloat16'])
def test_a_model_in_this_process(model_dir, dtype):
    backend = TransformersBackend(model_dir, dtype=dtype)
    assert backend.name == f'transformers:{model_dir}' + (f':{dtype}' if dtype else '')
    picture = cv2.imencode('.jpg', np.full((20, 30, 3), 90, np.uint8))[1].tobytes()
    answer = backend.ask(picture, QUESTION)
    assert answer.split() == ['lake'] * 32, 'the answer alone, without the question'


def test_errors(model_dir, tmp_path, monkeypatch):
    with pytest.raises(BackendError, match='cannot be loaded'):
        TransformersBackend(str(tmp_path))


@pytest.mark.parametrize('dtype', ['nonsense', 'int64', 'nn'])
def test_wrong_type(dtype):
    with pytest.raises(BackendError, match='expected a floating-point type'):
        TransformersBackend('any', dtype=dtype)


def test_without_transformers(monkeypatch):
    monkeypatch.setitem(sys.modules, 'transformers', None)
    with pytest.raises(BackendError, match='pip install "transformers'):
        TransformersBackend('any')
