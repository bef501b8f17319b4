"""Prompts as people speak: those that an editor of faces should understand, those that it cannot, and denials.

They are what docs/understanding.md reports. None of them took part in the choice of a threshold, and none was changed
after it had been measured.
"""

from __future__ import annotations

# 120: attributes that facetext was trained with, in words of any kind, odd ones included.
_KNOWN = (
    "wearing eyeglasses|nerdy glasses|horn rimmed spectacles|round glasses|a pair of sunglasses|"
    "glasses with a thin frame|tinted sunglasses|aviator sunglasses|bearded|a long beard|a short beard|"
    "a scruffy beard|a stubbly beard|a grey beard|a thin moustache|a big moustache|a mustache and a beard|"
    "facial hair on the chin|a neat goatee|unshaven for a week|hair as blond as straw|very blond|light blond|"
    "blonde curls|a blonde woman|dark hair|jet black locks|deep brown hair|chestnut brown hair|fiery red hair|"
    "bright orange hair|hot pink hair|neon green hair|navy blue hair|dark purple hair|lilac hair|white hair|"
    "greying hair|ash grey hair|hair turning silver|very curly hair|tight curls|soft waves in the hair|"
    "straightened hair|long straight hair|a blunt fringe|wispy bangs|bangs down to the eyes|completely bald|"
    "going bald|a receding hairline|thinning hair|a friendly smile|a broad toothy smile|a happy face|"
    "grinning from ear to ear|smiling with teeth|a big laugh|a sad expression|a sad and gloomy face|about to cry|"
    "a serious expression|a frown|open mouth|lips apart|a wide open mouth|scarlet lips|bright red lipstick|"
    "dark purple lipstick|nude lipstick|shiny pink lips|a lot of lipstick|bold lips|strong makeup|a made up face|"
    "eye makeup|thick eyeliner|heavy eye shadow|pink cheeks|blush on the cheeks|red cheeks|rosy apple cheeks|"
    "bushy brows|thick dark eyebrows|dense eyebrows|high arched brows|curved thin eyebrows|a deep tan|tanned skin|"
    "bronzed skin|very pale skin|white as snow skin|a chubby face|a fat face with a double chin|round cheeks|"
    "a slim face|very old|an elderly man|an old wrinkled face|a grandfather|a grandmother|a young woman|"
    "looks younger|a middle aged man|more manly|more feminine|like a man|a hat on the head|a straw hat|"
    "a winter cap|gold earrings|dangling earrings|a gold necklace|a suit and tie|a large nose|a small nose|"
    "a pointed nose|puffy eyes|baggy eyes|prominent cheekbones"
)
KNOWN = tuple(_KNOWN.split("|"))

# 60: no words, no words about faces, other languages, names.
_UNKNOWN = (
    "hjkl|wertz|blarg|qqqqq|xyzzy plugh|mnbvcxy lkjh|fnord|test|aaa bbb ccc|n/a|a truck|a wooden table|the moon|"
    "a glass of water|a forest|two bananas|the stock market|a laptop computer|an elevator|a swimming pool|music|"
    "yesterday|mathematics|justice|a long sentence about nothing|submit|help me|what is this|undo|open the file|"
    "Marie Curie|Tom Hanks|Elvis Presley|Donald Duck|Napoleon|Cristiano Ronaldo|graue Haare|ein breites L\u00e4cheln|"
    "Lippenstift|les yeux bleus|une barbe|chauve|ojos azules|sombrero|sonrisa|capelli ricci|rossetto|okulary|"
    "\u0443\u0441\u044b|\u0432\u043e\u043b\u043e\u0441\u044b|\u80e1\u5b50|\u5e3d\u5b50|\u3081\u304c\u306d|\u3072\u3052|"
    "\u0646\u0638\u0627\u0631\u0627\u062a|\U0001f602\U0001f602|\U0001f484|%$#@|42|3.14159"
)
UNKNOWN = tuple(_UNKNOWN.split("|"))

# Twelve denials, with the judge's concept of what they deny.
DENIALS = {
    "remove the glasses": "Eyeglasses",
    "no beard": "-No_Beard",
    "shave off the mustache": "Mustache",
    "without a goatee": "Goatee",
    "take off the hat": "Wearing_Hat",
    "get rid of the bangs": "Bangs",
    "not smiling": "Smiling",
    "hair that is not blond": "Blond_Hair",
    "no grey hair": "Gray_Hair",
    "less makeup": "Heavy_Makeup",
    "wipe off the lipstick": "Wearing_Lipstick",
    "no bushy eyebrows": "Bushy_Eyebrows",
}
