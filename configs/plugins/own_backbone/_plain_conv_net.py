# The backbone, for all stages. Its channels are those that the pixel decoder takes in.
custom_imports = dict(imports=['configs.plugins.own_backbone.plain_conv_net'])
channels = [32, 64, 128, 256]
backbone = dict(type='PlainConvNet', channels=channels)
