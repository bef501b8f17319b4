"""Fresh phrases, which only the report uses: no choice of the training was made by them."""

from __future__ import annotations

# Affirmations only, written after the phrases of celeba_phrases.py had been extended where a first look at the held-out
# ones had shown gaps; no phrase there was chosen by these.
FRESH: dict[str, str] = {
    "5_o_Clock_Shadow": "a bit of stubble|stubbly cheeks", "Arched_Eyebrows": "strongly arched eyebrows|curvy eyebrows",
    "Attractive": "a good looking face|very pretty", "Bags_Under_Eyes": "heavy eye bags|dark rings under the eyes",
    "Bald": "a bare scalp|gone bald", "Bangs": "a forehead hidden by bangs|a long fringe",
    "Big_Lips": "very full lips|big plump lips", "Big_Nose": "a really big nose|a fleshy large nose",
    "Black_Hair": "shiny black hair|black locks", "Blond_Hair": "light blonde locks|pale blond hair",
    "Blurry": "a photo out of focus|a smeared picture", "Brown_Hair": "a brown mop of hair|brown locks",
    "Bushy_Eyebrows": "really thick eyebrows|eyebrows that are bushy", "Chubby": "a rather fat face|chubby looks",
    "Double_Chin": "a second chin below the first|a big double chin", "Eyeglasses": "glasses with a black frame|"
    "having glasses on",
    "Goatee": "a small goatee|a chin with a goatee", "Gray_Hair": "light grey hair|hair that turned white",
    "Heavy_Makeup": "too much makeup|a thick layer of makeup", "High_Cheekbones": "cheekbones set high|"
    "raised cheek bones",
    "Male": "a male human|a gentleman's face", "Mouth_Slightly_Open": "lips slightly open|a mouth a little open",
    "Mustache": "a small mustache|a bushy moustache", "Narrow_Eyes": "very narrow eyes|eyes that are almost closed",
    "No_Beard": "a face free of beard|no beard on the chin", "Oval_Face": "a nicely oval face|an oval face shape",
    "Pale_Skin": "extremely pale skin|a very white face", "Pointy_Nose": "a very pointed nose|"
    "a nose that ends in a point",
    "Receding_Hairline": "a strongly receding hairline|hair receding from the forehead",
    "Rosy_Cheeks": "bright rosy cheeks|a blush on both cheeks", "Sideburns": "big sideburns|"
    "sideburns reaching down the jaw",
    "Smiling": "a warm smile|smiling broadly", "Straight_Hair": "perfectly straight hair|smooth sleek hair",
    "Wavy_Hair": "beautiful wavy hair|curly hairstyle", "Wearing_Earrings": "shiny earrings|earrings on both ears",
    "Wearing_Hat": "a big hat|someone with a cap on", "Wearing_Lipstick": "strong lipstick|a mouth with lipstick",
    "Wearing_Necklace": "a pearl necklace|a necklace around the neck", "Wearing_Necktie": "a blue tie|"
    "a suit with a necktie",
    "Young": "very young|someone of young age",
}  # fmt: skip
