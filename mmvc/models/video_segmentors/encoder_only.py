# Copyright (c) The mmvc contributors. All rights reserved.
"""Encoder-only video segmentation: VidEoMT (arXiv 2602.17807), PMT (arXiv 2603.25398), LVMT (arXiv 2609.34895)."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from mmdet.structures import TrackDataSample
from torch import Tensor, nn

from mmvc.registry import MODELS, TASK_UTILS
from mmvc.utils.arguments import check_number
from mmvc.utils.errors import UsageError

from ..cpu.inference import CPUInference
from ..heads.query_decoders import FrameTokens, JointBlocks
from ..heads.query_mask_head import QueryMaskHead
from ..layers.object_masked_attention import QueryDropping
from ..losses import deep_supervision_losses
from ..task_modules.assigners import ClipHungarianMatcher
from ..task_modules.postprocessors import VISPostprocessor
from ..utils.mask_annealing import MaskAnnealing
from ..utils.official_quirks import official_final_order, official_targets
from ..utils.queries import follow_queries, reorder_queries
from ..utils.segmenter_cache import SegmenterCache
from ..utils.targets import clip_targets, cut_to_labelled, frame_targets, labelled_frames
from .base_video_segmentor import BaseVideoSegmentor
from .two_passes import CarriedQueries, Chunk, split_frames
from .windows import join_windows, max_frames_at_once


class JoinedTokens(NamedTuple):
    """Tokens of N frames between two blocks that queries and patches pass together."""

    queries: Tensor
    """Shape (N, Q, D)."""
    patches: Tensor
    """Shape (N, h w, D)."""
    prediction: tuple[Tensor, Tensor] | None = None
    """Class and mask logits of these tokens, if masked attention has needed them."""


@MODELS.register_module()
class EncoderOnlySegmentor(BaseVideoSegmentor):
    """A plain vision transformer with queries among its patch tokens, whose output enters the next frame.

    A frame's queries and patches pass some blocks together, in the encoder (:class:`JointBlocks`, VidEoMT) or in a
    plain decoder (:class:`LateralDecoder`, PMT and LVMT). Propagation then turns the output queries into the input
    queries of the next frame. So query i is object i in all frames, and the whole state of a video is one tensor.

    Args:
        num_classes (int): Number of classes K.
        num_queries (int): Number of queries Q.
        encoder (dict): Config of :class:`PlainViT`.
        decoder (dict): Config of :class:`JointBlocks` or :class:`LateralDecoder`.
        propagation (dict, optional): Config of :class:`LinearPropagation` (VidEoMT, PMT) or :class:`GRUPropagation`
            (LVMT). Defaults to None: every frame starts with the learned queries, in the image stage. Videos are then
            tracked by matching queries of successive frames, as in MinVIS.
        criterion (dict): Config of :class:`MaskClassificationLoss`; ``num_classes`` is filled in.
        matcher (dict): Config of :class:`ClipHungarianMatcher`, or without propagation of
            :class:`HungarianMaskMatcher`.
        freeze_encoder (bool): Whether the encoder is not trained and stays in evaluation mode. Needs
            :class:`LateralDecoder`. Defaults to False.
        chunk_size (int, optional): Truncated query propagation (LVMT): clips are cut into chunks of so many frames.
            Each chunk has a backward pass of its own, and hands its queries on without gradients. The last chunk may
            be shorter, and a clip that is not longer is one chunk. Distributed trainings save memory only with the
            wrapper :class:`TwoPassDistributedDataParallel`. Defaults to None: one pass over all frames.
        masked_attention (dict, optional): Arguments of :class:`MaskAnnealing`: in the image stage of EoMT (arXiv
            2503.19108), each query attends only to the patches inside its own mask, with a probability that falls to 0
            in the course of the training. Never in evaluation mode. Defaults to None.
        query_dropping (dict, optional): ``drop_ratio`` and ``threshold`` of Object Masked Attention (arXiv 2408.10627,
            Eq. 6-8), applied to the blocks that queries and patches pass together: in training, a query whose empty
            class has a probability of at least ``threshold`` is dropped from the keys of a block with probability
            ``drop_ratio``. Defaults to None.
        feature_cache (dict, optional): Arguments of :class:`SegmenterCache`, for trainings without augmentation: the
            frozen encoder then processes every frame once. Defaults to None.
        official_quirks (bool): Whether to train as the official code does where it is wrong, see
            :func:`official_targets`; the random scale of rotary positions then reaches a frozen encoder too, objects
            share queries if too few are free, and with several clips in a batch the final predictions of their frames
            are mixed up. Defaults to False.
        **kwargs: Arguments of :class:`BaseVideoSegmentor`.

    Raises:
        ValueError: Settings contradict each other, or a number is out of range.
    """

    is_online = True

    def __init__(self,
                 num_classes: int,
                 num_queries: int,
                 encoder: dict,
                 decoder: dict,
                 criterion: dict,
                 matcher: dict,
                 propagation: dict | None = None,
                 freeze_encoder: bool = False,
                 chunk_size: int | None = None,
                 masked_attention: dict | None = None,
                 query_dropping: dict | None = None,
                 feature_cache: dict | None = None,
                 official_quirks: bool = False,
                 **kwargs: Any) -> None:
        super().__init__(num_classes, **kwargs)
        check_number('model.num_queries', num_queries, 1, whole=True)
        self.encoder = MODELS.build(encoder)
        self.decoder = MODELS.build(decoder, default_args=dict(encoder=self.encoder))
        dims = dict(embed_dims=self.encoder.embed_dims)
        self.query_embed = nn.Embedding(num_queries, self.encoder.embed_dims)
        self.propagation = None if propagation is None else MODELS.build(propagation, default_args=dims)
        self.head = QueryMaskHead(num_classes, patch_size=self.encoder.patch_size, **dims)
        self.criterion = MODELS.build(criterion, default_args=dict(num_classes=num_classes))
        self.matcher = TASK_UTILS.build(matcher)
        self.chunk_size = chunk_size
        num_blocks = len(self.decoder.joint_blocks(self.encoder))
        self.masked_attention = None if masked_attention is None else MaskAnnealing(num_blocks, **masked_attention)
        self.query_dropping = None if query_dropping is None else QueryDropping(**query_dropping)
        self.feature_cache = None if feature_cache is None else SegmenterCache(
            setting='feature_cache', part='encoder', **feature_cache)
        self.official_quirks = official_quirks
        if official_quirks and isinstance(self.matcher, ClipHungarianMatcher):
            self.matcher.shares_queries = True
        self._check_settings(freeze_encoder)
        if freeze_encoder:
            self.frozen_parts = ('encoder', )
            self._freeze()

    def _check_settings(self, freeze_encoder: bool) -> None:
        """Refuse settings that contradict each other."""
        name = type(self).__name__
        matches_clips = isinstance(self.matcher, ClipHungarianMatcher)
        if matches_clips != (self.propagation is not None):
            raise ValueError(f'{name}: with `propagation` the matcher is a ClipHungarianMatcher, one query per object '
                             'and clip; without it, a HungarianMaskMatcher, which matches each frame by itself. Got '
                             f'{type(self.matcher).__name__}')
        if self.chunk_size is not None:
            check_number('model.chunk_size', self.chunk_size, 1, whole=True)
            if self.propagation is None:
                raise ValueError(f'{name}: `chunk_size` is for a model with `propagation`: set chunk_size=None, or '
                                 'change it in the video stage alone, as stages.online.model.chunk_size')
        if self.masked_attention is not None and self.propagation is not None:
            raise ValueError(f'{name}: `masked_attention` belongs to the image stage, which has no `propagation`: '
                             'remove one of them')
        if freeze_encoder and isinstance(self.decoder, JointBlocks):
            raise ValueError(f'{name}: JointBlocks trains the blocks of the encoder: use a LateralDecoder, or set '
                             'freeze_encoder=False')
        if self.feature_cache is not None and (not freeze_encoder or self.official_quirks):
            raise ValueError(f'{name}: `feature_cache` needs an encoder whose features stay the same: set '
                             'freeze_encoder=True and official_quirks=False')

    def chunks(self, inputs: Tensor) -> Sequence[Chunk | None]:
        """Cut clips for truncated query propagation; see the base class."""
        return [None] if self.chunk_size is None else split_frames(inputs.shape[1], self.chunk_size)

    def stage_loss(self,
                   inputs: Tensor,
                   data_samples: Sequence[TrackDataSample],
                   sample_weights: Tensor,
                   carried: CarriedQueries | None = None) -> dict[str, Tensor]:
        """Compute the losses of all predictions but that of the last block's input; see the base class.

        Args:
            inputs (Tensor): Normalised, padded clips, shape (B, T, 3, H, W).
            data_samples (Sequence[TrackDataSample]): Their ground truth.
            sample_weights (Tensor): Weight of each clip's losses, shape (B,).
            carried (CarriedQueries, optional): Queries of the chunk before; gets those for the next one. Defaults to
                None: the clips begin.

        Returns:
            dict[str, Tensor]: Named losses.
        """
        labelled = labelled_frames(data_samples)
        if labelled is not None:
            self._check_sparse_labels()
        if self.propagation is None:
            sample_weights = sample_weights.repeat_interleave(inputs.shape[1])
            if labelled is not None:  # frames do not see each other, so the others teach nothing
                inputs, data_samples, sample_weights = cut_to_labelled(inputs, data_samples, sample_weights, labelled)
                labelled = None
        num_frames = inputs.shape[1]
        log_rescale = self._draw_log_rescale(inputs.device)
        frames = self._encode(inputs, data_samples, log_rescale)
        joined, entering, queries = self._join_clips(frames, num_frames, carried.queries if carried else None)
        if carried is not None:
            carried.queries = queries.detach()
        # the image stage learns from every block, the video stage not from the input of the last one
        entering = entering if self.propagation is None else entering[:-1]
        predictions = [tokens.prediction or self._predict(tokens, frames.grid, self._norms_aux) for tokens in entering]
        predictions.append(self._predict(joined, frames.grid, True))
        cls_scores, masks = (list(values) for values in zip(*predictions))
        if self.propagation is None:
            targets = frame_targets(data_samples, inputs.device)
        else:
            cls_scores, masks = ([x.unflatten(0, (-1, num_frames)) for x in xs] for xs in (cls_scores, masks))
            targets = clip_targets(data_samples, inputs.device)
            if self.official_quirks:
                is_vis = isinstance(self.postprocessor, VISPostprocessor)
                clips = clip_targets(carried.clips, inputs.device) if carried and not is_vis else None
                targets = official_targets(targets, self.num_classes, is_vis, clips)
                cls_scores[-1], masks[-1] = map(official_final_order, (cls_scores[-1], masks[-1]))
        losses = deep_supervision_losses(
            self.criterion, self.matcher, cls_scores, masks, targets, sample_weights, labelled=labelled)
        losses['loss_cls'] = losses['loss_cls'] + 0 * self._sum_of_idle_parameters()
        return losses

    def _check_sparse_labels(self) -> None:
        """Refuse frames without labels where the official code has no rule for them."""
        if self.official_quirks:
            raise UsageError(f'{type(self).__name__}: official_quirks=True repeats a code that labels all frames: set '
                             'official_quirks=False to train with sparse_labels=True')

    def _sum_of_idle_parameters(self) -> Tensor:
        """Sum of parameters that a chunk or a clip of one frame may not use: distributed training waits for them."""
        parameters = [self.query_embed.weight, *([] if self.propagation is None else self.propagation.parameters())]
        return sum((parameter.sum() for parameter in parameters), self.query_embed.weight.new_zeros(()))

    def segment(self, inputs: Tensor) -> dict[str, Tensor]:
        """Segment clips; see the base class.

        Returns:
            dict[str, Tensor]: ``cls_scores``, class logits (B, T, Q, K + 1); ``mask_preds``, mask logits (B, T, Q, h,
            w); ``query_embeds``, normalised output queries (B, T, Q, D).
        """
        state, windows = None, []
        for frames in inputs.split(max_frames_at_once(inputs, self.window_size), dim=1):
            output, state = self.segment_window(frames, state)
            windows.append(output)
        return join_windows(windows)

    def segment_window(self, frames: Tensor, queries: Tensor | None = None) -> tuple[dict[str, Tensor], Tensor]:
        """Segment the next frames of clips.

        Args:
            frames (Tensor): Normalised, padded frames, shape (B, t, 3, H, W).
            queries (Tensor, optional): Queries that the frames before have propagated, shape (B, Q, D). Defaults to
                None: the clips begin with the learned queries.

        Returns:
            tuple[dict[str, Tensor], Tensor]: The tensors of :meth:`segment` for these frames, and the queries for the
            next ones.

        Raises:
            ValueError: ``queries`` belong to another number of clips, or to another model.
        """
        shape = frames.shape[:2]
        log_rescale = self._draw_log_rescale(frames.device)
        encoded = self._tokens(self._run_encoder(frames.flatten(0, 1), log_rescale), frames, log_rescale)
        joined, _, queries = self._join_clips(encoded, shape[1], queries)
        normed = self._norm(joined)
        cls_scores, masks = self.head(normed.queries, normed.patches, encoded.grid)
        output = dict(cls_scores=cls_scores, mask_preds=masks, query_embeds=normed.queries)
        return {name: value.unflatten(0, shape) for name, value in output.items()}, queries

    def process_window(self, frames: Tensor, state: Tensor | None = None) -> tuple[dict[str, Tensor], Tensor]:
        """Segment the next frames of a video; see the base class.

        The state is the tensor of queries of the next frame, (1, Q, D). Without propagation it is the last frame's
        queries in the order of the objects.

        Raises:
            ValueError: The state has another shape.
        """
        output, queries = self.segment_window(frames, None if self.propagation is None else state)
        cls_scores, masks = output['cls_scores'], output['mask_preds']
        if self.propagation is None:
            if state is not None:
                self._check_state(state, len(frames))
            order, queries = follow_queries(output['query_embeds'][0], state)
            cls_scores, masks = reorder_queries(cls_scores[0], order)[None], reorder_queries(masks[0], order)[None]
        return dict(cls_scores=cls_scores, mask_features=masks), queries

    def optimize_for_inference(self, compile: bool = False) -> None:
        """Compile the encoder, the decoder and the head if asked to; see the base class."""
        if compile:
            # the last blocks of the encoder may be the joint ones: each is compiled once
            for block in dict.fromkeys((*self.encoder.blocks, *self.decoder.joint_blocks(self.encoder))):
                block.compile()
            self.head.compile()

    def _draw_log_rescale(self, device: torch.device) -> Tensor | None:
        """Draw the scale of rotary positions for a training step. None in evaluation mode, or without them."""
        rotary = self.decoder.find_rotary(self.encoder)
        return rotary.draw_log_rescale(device) if self.training and rotary is not None else None

    def _encode(self, inputs: Tensor, data_samples: Sequence[TrackDataSample],
                log_rescale: Tensor | None) -> FrameTokens:
        """Compute the tokens of all frames of a training batch, with the encoder's features from the cache if any."""
        if self.feature_cache is None:
            encoded = self._run_encoder(inputs.flatten(0, 1), log_rescale)
        else:
            features = self.feature_cache(inputs, data_samples, (self.encoder, ), self._cacheable_features)
            encoded = [feature.flatten(0, 1) for feature in features.values()]
        return self._tokens(encoded, inputs, log_rescale)

    def _cacheable_features(self, clips: Tensor) -> dict[str, Tensor]:
        """The encoder's features of clips (B, T, 3, H, W): tensors (B, T, R + h w, D)."""
        encoded = self._run_encoder(clips.flatten(0, 1), None)
        return {f'level{i}': feature.unflatten(0, clips.shape[:2]) for i, feature in enumerate(encoded)}

    def _run_encoder(self, images: Tensor, log_rescale: Tensor | None) -> Sequence[Tensor]:
        """Run :meth:`QueryDecoder.encode`; a frozen encoder in windows without a graph."""
        if not self.frozen_parts:
            return self.decoder.encode(self.encoder, images, log_rescale)
        log_rescale = log_rescale if self.official_quirks else None
        with torch.no_grad(), CPUInference():
            size = max_frames_at_once(images[:, None], self.window_size)
            windows = [self.decoder.encode(self.encoder, part, log_rescale) for part in images.split(size)]
        return [torch.cat(parts) for parts in zip(*windows)]

    def _tokens(self, encoded: Sequence[Tensor], frames: Tensor, log_rescale: Tensor | None) -> FrameTokens:
        """Compute the tokens that queries are joined to; ``frames`` (B, T, 3, H, W) tell their grid."""
        return self.decoder.tokens(self.encoder, encoded, self.encoder.grid_of(frames), log_rescale)

    def _join_clips(self, frames: FrameTokens, num_frames: int,
                    queries: Tensor | None) -> tuple[JoinedTokens, list[JoinedTokens], Tensor]:
        """Pass queries through the frames of clips, one frame after the other.

        Args:
            frames (FrameTokens): Tokens of B * T frames; those of a clip follow one another.
            num_frames (int): Frames T of a clip.
            queries (Tensor, optional): Queries that enter the first frame, shape (B, Q, D). None: the learned ones.

        Returns:
            tuple: Tokens after the last block, those that enter each block, all of B * T frames, and the queries for
            the next frame.
        """
        learned = self.query_embed.weight
        if self.propagation is None:
            joined, entering = self._join(frames, learned.expand(len(frames.tokens), -1, -1))
            return joined, entering, joined.queries
        by_time = frames.tokens.unflatten(0, (-1, num_frames)).unbind(1)
        num_clips = len(by_time[0])
        if queries is None:
            queries = learned.expand(num_clips, -1, -1)
        self._check_state(queries, num_clips)
        steps = []
        for tokens in by_time:
            step = self._join(frames._replace(tokens=tokens), queries)
            outputs = step[0].queries
            if self.decoder.norm_queries:
                outputs = self.decoder.final_norm(self.encoder)(outputs)
            queries = self.propagation(outputs, queries, learned)
            steps.append(step)
        joined = _stack_frames([joined for joined, _ in steps])
        entering = [_stack_frames(tokens) for tokens in zip(*(entering for _, entering in steps))]
        return joined, entering, queries

    def _check_state(self, state: Tensor, num_clips: int) -> None:
        """Refuse a state of another number of clips, or of another model."""
        shape = (num_clips, *self.query_embed.weight.shape)
        if state.shape != shape:
            raise ValueError(f'the state has the shape {tuple(state.shape)}, but {num_clips} clips of this model need '
                             f'{shape}: it is of another batch or model. Begin a video with state None')

    def _join(self, frames: FrameTokens, queries: Tensor) -> tuple[JoinedTokens, list[JoinedTokens]]:
        """Pass queries (N, Q, D) and tokens of N frames through the joint blocks; returns output and all inputs."""
        x = torch.cat([queries, frames.tokens], dim=1)
        entering = []
        for i, block in enumerate(self.decoder.joint_blocks(self.encoder)):
            mask = None
            if self.training:
                tokens = self._split(x)
                probability = 0.0 if self.masked_attention is None else self.masked_attention(i)
                if probability > 0:
                    tokens = tokens._replace(prediction=self._predict(tokens, frames.grid, self._norms_aux))
                mask = self._attention_mask(probability, tokens, frames.grid)
                entering.append(tokens)
            x = block(x, frames.rotation, mask)
        return self._split(x), entering

    def _split(self, x: Tensor) -> JoinedTokens:
        """Queries and patches of joined tokens (N, Q + R + h w, D)."""
        num_queries = self.query_embed.num_embeddings
        return JoinedTokens(x[:, :num_queries], x[:, num_queries + self.encoder.num_prefix_tokens:])

    @property
    def _norms_aux(self) -> bool:
        """Whether auxiliary predictions are made from normalised tokens, as in EoMT."""
        return self.decoder.norm_queries or self.propagation is None

    def _predict(self, tokens: JoinedTokens, grid: tuple[int, int], norm: bool) -> tuple[Tensor, Tensor]:
        """Class logits (N, Q, K + 1) and mask logits (N, Q, 4 h, 4 w) of tokens, normalised before if asked to."""
        tokens = self._norm(tokens) if norm else tokens
        return self.head(tokens.queries, tokens.patches, grid)

    def _norm(self, tokens: JoinedTokens) -> JoinedTokens:
        """Normalise tokens for the head."""
        return JoinedTokens(*map(self.decoder.final_norm(self.encoder), tokens[:2]))

    def _attention_mask(self, probability: float, tokens: JoinedTokens, grid: tuple[int, int]) -> Tensor | None:
        """Draw the mask of a joint block in training: bool, True = attended, broadcast to (N, heads, tokens, tokens).

        With ``probability``, a query attends only to the patches inside its mask; see ``masked_attention``. The mask
        has no gradient, but is not computed under ``no_grad``: the autocast of PyTorch before 2.10 would keep the
        weights that it casts there, and later uses of them would give no gradient.
        """
        num_frames, num_queries, _ = tokens.queries.shape
        num_patches = tokens.patches.shape[1]
        total = num_queries + self.encoder.num_prefix_tokens + num_patches
        mask = None
        if tokens.prediction is not None:
            masks = tokens.prediction[1].detach()
            inside = F.interpolate(masks, grid, mode='bilinear', align_corners=False).flatten(2) > 0
            if probability < 1:
                inside |= torch.rand(inside.shape[:2], device=inside.device)[..., None] > probability
            mask = inside.new_ones((num_frames, 1, total, total))
            mask[:, 0, :num_queries, -num_patches:] = inside
        if self.query_dropping is not None:
            queries = tokens.queries.detach()
            if self._norms_aux:
                queries = self.decoder.final_norm(self.encoder)(queries)
            dropped = self.query_dropping(self.head.empty_scores(queries).detach())
            kept = F.pad(~dropped, (0, total - num_queries), value=True)[:, None, None]
            mask = kept if mask is None else mask & kept
        return mask


def _stack_frames(frames: Sequence[JoinedTokens]) -> JoinedTokens:
    """Tokens (B, ...) of T successive frames as those of B * T frames, the frames of a clip after each other."""
    queries, patches = (torch.stack(tokens, dim=1) for tokens in zip(*((f.queries, f.patches) for f in frames)))
    return JoinedTokens(queries.flatten(0, 1), patches.flatten(0, 1))
