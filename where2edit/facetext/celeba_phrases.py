"""The phrases of the forty CelebA attributes, in CelebA's order: affirming, denying, and both kinds held out."""

from __future__ import annotations

from where2edit.facetext.concept import Concept

CELEBA_CONCEPTS: tuple[Concept, ...] = (
    Concept("5_o_Clock_Shadow",
            "stubble|five o'clock shadow|a 5 o'clock shadow|a stubbly chin|short stubble|~unshaven|light beard stubble|"
            "facial stubble|a few days of beard|beard shadow|unshaved cheeks|trendy stubble",
            "no stubble|~clean shaven|no five o'clock shadow|a smooth shaven chin",
            "designer stubble|a stubbly face|stubble on the jaw", "no facial stubble"),
    Concept("Arched_Eyebrows",
            "arched eyebrows|arched brows|curved eyebrows|high arched eyebrows|eyebrows with an arch|sculpted eyebrows|"
            "raised curved brows|elegantly arched eyebrows|an arched eyebrow",
            "straight eyebrows|flat eyebrows|no arched eyebrows|eyebrows that are not arched|unarched brows|"
            "horizontal eyebrows|eyebrows in a straight line|eyebrows without an arch",
            "bow-shaped eyebrows|eyebrows that arch|curved brows", "level eyebrows"),
    Concept("Attractive",
            "~attractive|~beautiful|~good looking|~pretty|~handsome|an attractive face|~gorgeous|good looks|"
            "a beautiful face",
            "~unattractive|~not attractive|~ugly|~plain looking|not a pretty face",
            "~lovely|~nice looking|a pretty face", "~not beautiful"),
    Concept("Bags_Under_Eyes",
            "bags under the eyes|eye bags|bags under eyes|dark circles under the eyes|puffy eyes|~tired looking|"
            "baggy eyes|"
            "swollen under-eyes",
            "no bags under the eyes|no eye bags|smooth skin under the eyes|no dark circles",
            "eye-bags|puffy under-eye bags|tired eyes with bags", "no under-eye bags"),
    Concept("Bald",
            "~bald|a bald head|no hair|no hair on the head|~bald-headed|~hairless|a shaved head|complete baldness|"
            "a bald scalp|baldness|a head without hair",
            "hair on the head|a full head of hair|~not bald|thick hair|plenty of hair",
            "a hairless head|~completely bald|a bald pate", "a head full of hair"),
    Concept("Bangs",
            "bangs|hair bangs|a fringe|hair with bangs|bangs over the forehead|a fringe of hair|"
            "hair falling over the forehead|"
            "hair with a fringe|blunt bangs|side bangs|a forehead covered by bangs",
            "no bangs|no fringe|a bare forehead|an uncovered forehead|hair without bangs|~without bangs",
            "fringe bangs|a haircut with bangs|a fringe covering the forehead", "a haircut without bangs"),
    Concept("Big_Lips",
            "big lips|full lips|thick lips|plump lips|large lips|pouty lips|voluminous lips|~full-lipped|swollen lips|"
            "meaty lips|puffy lips|lush lips",
            "thin lips|small lips|narrow lips|no big lips|fine lips|lips that are thin|slender lips",
            "fleshy lips|fat lips|thick full lips", "slim lips"),
    Concept("Big_Nose",
            "a big nose|a large nose|a wide nose|a broad nose|a prominent nose|a huge nose|~big-nosed|a thick nose",
            "a small nose|a narrow nose|a tiny nose|a little nose|no big nose",
            "a massive nose|a bulky nose|a very large nose", "a thin nose"),
    Concept("Black_Hair",
            "black hair|~black haired|jet black hair|dark black hair|raven hair|hair that is black|hair dyed black|"
            "hair in black|very dark hair|raven black hair|black coloured hair|ebony hair",
            "no black hair|hair that is not black|~not black haired|hair of another colour than black",
            "deep black hair|pitch black hair|hair as black as coal", "hair other than black"),
    Concept("Blond_Hair",
            "blond hair|blonde hair|~blond|~blonde|fair hair|yellow hair|light blond hair|platinum blonde hair|"
            "hair dyed blond|"
            "hair in blonde|bright blonde hair|flaxen hair|sandy blond hair|honey blonde hair|~blond haired|"
            "hair that is blond",
            "no blond hair|~not blond|hair that is not blonde|no blonde hair|dark hair",
            "golden hair|~fair haired|gold blonde hair|~blonde haired", "~not blonde haired"),
    Concept("Blurry",
            "=a blurry photo|~blurry|~out of focus|=a blurred picture|~blurred|=an unsharp photo|=a hazy photo|"
            "=a picture that is not sharp|=an indistinct photo",
            "=a sharp photo|~in focus|~sharp|=a clear picture|=a photo rich in detail|=a picture that is sharp|"
            "=a crystal clear image",
            "=a fuzzy photo|=an out-of-focus picture", "=a crisp photo"),
    Concept("Brown_Hair",
            "brown hair|~brown haired|brunette hair|chestnut hair|dark brown hair|light brown hair|hair that is brown|"
            "~brunette|"
            "hair dyed brown|chocolate brown hair|hazel hair",
            "no brown hair|hair that is not brown|~not brunette|hair of another colour than brown",
            "chestnut brown hair|brunette locks|brown coloured hair", "hair other than brown"),
    Concept("Bushy_Eyebrows",
            "bushy eyebrows|thick eyebrows|bushy brows|dense eyebrows|heavy eyebrows|big thick eyebrows|full eyebrows|"
            "strong dark eyebrows|~bushy browed",
            "thin eyebrows|sparse eyebrows|no bushy eyebrows|fine eyebrows|narrow eyebrows|plucked eyebrows",
            "thick bushy brows|thick brows|very bushy eyebrows", "thin brows"),
    Concept("Chubby",
            "~chubby|~fat|~overweight|a chubby face|a fat face|~plump|~heavy set|chubby cheeks|a fleshy face|~obese|"
            "a round fat face|~stout|~portly|~rotund|~podgy|~pudgy|~overfed|a pudgy face|~big and heavy|~roly-poly|"
            "full cheeks|~burly",
            "~slim|~thin|a slim face|~not chubby|a thin face|~skinny|a lean face|hollow cheeks|~lean|~slight|~bony|"
            "a narrow lean face|~underweight|~gaunt",
            "~tubby|a plump face|~corpulent|a chubby round face", "~slender"),
    Concept("Double_Chin",
            "a double chin|a fat chin|a second chin|a sagging chin|fat under the chin|a double-chin",
            "no double chin|a firm chin|a single chin|a sharp jawline",
            "a fleshy double chin|a chin with a fold of fat", "~without a double chin"),
    Concept("Eyeglasses",
            "eyeglasses|glasses|spectacles|a pair of glasses|~wearing glasses|~wearing eyeglasses|~bespectacled|"
            "reading glasses|"
            "glasses on the nose|sunglasses|eyewear|framed glasses|~wearing a pair of eyeglasses|a pair of spectacles|"
            "shades|goggles|reading spectacles|sun glasses|thick specs on the nose|~spectacled|"
            "lenses in front of the eyes|optical glasses",
            "no glasses|no eyeglasses|~not wearing glasses|~without glasses|no spectacles|~without eyeglasses|"
            "bare eyes|no spectacles on the nose|no sunglasses|~not bespectacled|no eyewear",
            "specs|~wearing spectacles|a pair of eyeglasses|~with glasses on", "~without spectacles|"
            "~not wearing eyeglasses"),
    Concept("Goatee",
            "a goatee|a goatee beard|a chin beard|a small beard on the chin|hair on the chin|goatee facial hair|"
            "a pointed chin beard",
            "no goatee|a chin without a goatee|a hairless chin|~without a goatee",
            "a goatee style beard|a tuft of beard on the chin|a trimmed goatee", "~without any goatee"),
    Concept("Gray_Hair",
            "gray hair|grey hair|white hair|silver hair|~gray haired|~grey haired|greying hair|hair that is gray|"
            "hair turned grey|hair dyed grey|ash grey hair|~white haired|hair that is grey",
            "no gray hair|hair that is not grey|~not gray haired|no grey hair",
            "silvery hair|silver grey hair|hair gone grey|~silver haired", "hair without any grey"),
    Concept("Heavy_Makeup",
            "heavy makeup|a lot of makeup|~wearing heavy makeup|thick makeup|~heavily made up|strong make-up|"
            "eye shadow and makeup|"
            "full makeup|glamorous makeup|~wearing makeup|makeup|make-up|cosmetics",
            "no makeup|~wearing no makeup|~without makeup|no make-up|a natural face without makeup|~bare faced",
            "lots of makeup|heavy make-up|~wearing lots of cosmetics|"
            "a heavily made-up face", "~not wearing any makeup"),
    Concept("High_Cheekbones",
            "high cheekbones|prominent cheekbones|high cheek bones|raised cheekbones|pronounced cheekbones|"
            "defined cheekbones",
            "low cheekbones|flat cheekbones|no high cheekbones|flat cheeks",
            "cheekbones that are high|strong high cheekbones", "low cheek bones"),
    Concept("Male",
            "=a man|~male|=a male|=a guy|=a male face|=a gentleman|=a man's face|~masculine|=a boy|=a male person|=man|"
            "=he is a man|"
            "masculine features|=a photo of a man",
            "=a woman|~female|=a female|=a lady|=a female face|=a girl|=a woman's face|~feminine|=a female person|"
            "=woman|"
            "=she is a woman|feminine features|=a photo of a woman",
            "=a dude|=the face of a man|=a masculine face|=some fellow", "=the face of a woman|=a feminine face"),
    Concept("Mouth_Slightly_Open",
            "an open mouth|a slightly open mouth|mouth open|parted lips|~open mouthed|a mouth that is open|"
            "a mouth slightly open|"
            "teeth showing|an opened mouth|a wide open mouth|=the mouth is open|visible teeth|a gaping mouth|"
            "mouth agape|separated lips|lips not touching each other|an unclosed mouth|a mouth showing teeth|"
            "lips parted",
            "a closed mouth|mouth shut|closed lips|a mouth that is closed|lips pressed together|=the mouth is closed|"
            "sealed lips|lips together|a mouth kept shut tight|no teeth visible",
            "the mouth slightly opened|lips apart|a half open mouth", "a shut mouth|lips closed"),
    Concept("Mustache",
            "a mustache|a moustache|a hairy upper lip|a thick mustache|mustache|hair above the upper lip|~mustached|"
            "hair on the upper lip|moustache",
            "no mustache|no moustache|a bare upper lip|~without a mustache|a shaved upper lip",
            "a big moustache|~moustached|a mustache under the nose", "~without a moustache"),
    Concept("Narrow_Eyes",
            "narrow eyes|small eyes|squinting eyes|thin eyes|slit eyes|half closed eyes|narrowed eyes|~narrow-eyed",
            "wide open eyes|big eyes|large eyes|no narrow eyes|round eyes",
            "squinted eyes|tight narrow eyes|eyes narrowed to slits", "wide eyes"),
    Concept("No_Beard",
            "no beard|~with no beard|~lacking a beard|not a trace of beard|~without any facial hair|"
            "no facial hair at all|~beardless|~without a beard|no facial hair|a face without a beard|"
            "a smooth chin without beard|"
            "~without facial hair|=there is no beard|~not bearded",
            "a beard|~bearded|facial hair|a full beard|a thick beard|beard|a long beard|a beard on the face|"
            "a bushy beard|"
            "a short beard|a bearded face|~wearing a beard",
            "a beardless face|~without any beard|no beard at all", "a big beard|~with a beard|a man's beard|"
            "a hairy beard"),
    Concept("Oval_Face",
            "an oval face|an oval shaped face|an egg-shaped face|an elongated oval face|~oval faced",
            "a square face|a round face|no oval face|an angular face",
            "a face of oval shape|a long oval face", "a broad square face"),
    Concept("Pale_Skin",
            "pale skin|~pale|white skin|fair skin|a pale face|light skin|very pale skin|a pale complexion|"
            "~light skinned|porcelain skin|"
            "pallid skin|a white complexion",
            "no pale skin|~not pale|skin that is not pale|a healthy skin colour",
            "a pallid face|~pale skinned|a fair complexion|whitish skin", "~not at all pale"),
    Concept("Pointy_Nose",
            "a pointy nose|a pointed nose|a sharp nose|a nose with a sharp tip|~pointy-nosed|a thin pointed nose",
            "a blunt nose|a rounded nose|no pointy nose|a flat nose|a snub nose|a round nose|a bulbous nose|"
            "a nose with a blunt tip",
            "a nose that is pointed|a sharply pointed nose", "a nose with a round tip"),
    Concept("Receding_Hairline",
            "a receding hairline|a high forehead|thinning hair|a balding forehead|~balding|hair loss at the temples|"
            "a hairline that recedes|receding hair|a hairline moving back|a hairline high on the head|bald temples|"
            "hair thinning at the front|a disappearing hairline",
            "a low hairline|a full hairline|no receding hairline|no hair loss",
            "hair that is receding|a thinning hairline|a retreating hairline", "a hairline that is not receding"),
    Concept("Rosy_Cheeks",
            "rosy cheeks|red cheeks|pink cheeks|blushing cheeks|blush on the cheeks|rosy-cheeked|flushed cheeks|"
            "~rosy cheeked|~blushing|rouge on the cheeks|cheeks with blush|reddish cheeks|a rosy complexion|"
            "glowing red cheeks|cheeks flushed with red",
            "no rosy cheeks|colourless cheeks|no blush|cheeks without blush|cheeks that are not rosy",
            "rose-coloured cheeks|ruddy cheeks|cheeks that are pink", "cheeks without colour"),
    Concept("Sideburns",
            "sideburns|long sideburns|side whiskers|hair in front of the ears|whiskers down the cheeks|bushy sideburns",
            "no sideburns|~without sideburns|shaved sides|cheeks without sideburns",
            "side-burns|thick sideburns|sideburns along the ears", "~without any sideburns"),
    Concept("Smiling",
            "a smile|~smiling|a big smile|a smiling face|a happy smile|a grin|~grinning|~happy|~laughing|a broad smile|"
            "a cheerful face|a happy face|~cheerful|a toothy smile|=the person smiles|a happy expression|a joyful face|"
            "a radiant smile|~radiant|a delighted look|~glad|~amused|a merry face|~smirking|a pleased look|~jolly|"
            "a face lit up by a smile",
            "no smile|~not smiling|~serious|a serious face|~unsmiling|a neutral expression|a straight face|"
            "a stern look|~stern|~humourless|~solemn|no grin|an unsmiling face",
            "a beaming smile|~beaming|a friendly smile|a wide grin|~joyful", "~without a smile|"
            "a face that does not smile"),
    Concept("Straight_Hair",
            "straight hair|smooth straight hair|hair that is straight|sleek hair|~straight haired|straightened hair|"
            "long straight hair|"
            "flat straight hair|hair that hangs straight|hair with no waves in it|ironed hair|poker straight hair",
            "no straight hair|hair that is not straight|~not straight haired|hair with bends|"
            "wavy or curly hair, not straight|kinky hair|hair that is far from straight",
            "hair without curls|uncurled hair|sleek straight hair", "hair that is anything but straight"),
    Concept("Wavy_Hair",
            "wavy hair|curly hair|curls|hair with waves|curled hair|~wavy haired|~curly haired|wavy locks|loose waves|"
            "frizzy hair|a perm|hair that is curly|hair that is wavy|ringlets",
            "no wavy hair|no curls|no curly hair|hair that is not wavy|hair that is not curly",
            "long wavy locks|hair in waves|hair with curls|curly locks", "hair without waves"),
    Concept("Wearing_Earrings",
            "earrings|~wearing earrings|an earring|jewelry in the ears|ear jewelry|ear rings|a pair of earrings|"
            "dangling earrings",
            "no earrings|~not wearing earrings|~without earrings|bare ears",
            "big earrings|~wearing a pair of earrings|hoops in the ears", "~not wearing any earrings"),
    Concept("Wearing_Hat",
            "a hat|~wearing a hat|a cap|~wearing a cap|a beanie|a baseball cap|headwear|hat|a hat on the head|a helmet|"
            "a head covered by a hat|a woolly hat|headgear|~in a hat",
            "no hat|~not wearing a hat|~without a hat|~bareheaded|no cap|no headwear|an uncovered head",
            "a hat on|~with a hat on|a cap on the head|~dressed in a hat", "~without any hat|no hat at all"),
    Concept("Wearing_Lipstick",
            "lipstick|~wearing lipstick|painted lips|lip makeup|lips with lipstick|coloured lips|bright lipstick|"
            "lip gloss|lip colour|"
            "made-up lips|lipstick on the lips",
            "no lipstick|~not wearing lipstick|~without lipstick|natural lips|bare lips|unpainted lips|"
            "lips without lipstick",
            "~wearing lip colour|glossy lipstick|lipsticked lips|"
            "lips painted with lipstick", "~not wearing any lipstick"),
    Concept("Wearing_Necklace",
            "a necklace|~wearing a necklace|a chain around the neck|jewelry around the neck|necklace|"
            "a pendant on the neck",
            "no necklace|~not wearing a necklace|~without a necklace|a bare neck",
            "a neck chain|a gold necklace|~with a necklace on", "~not wearing any necklace"),
    Concept("Wearing_Necktie",
            "a necktie|a tie|~wearing a tie|~wearing a necktie|a suit and tie|a tie around the neck|necktie",
            "no tie|no necktie|~not wearing a tie|~without a tie",
            "a neck tie|~dressed in shirt and tie|~with a tie on", "~not wearing any tie"),
    Concept("Young",
            "~young|a young face|=a young person|~youthful|a youthful face|~young looking|young age|=a youth|youth|"
            "smooth young skin|"
            "=a young adult|=someone young|~juvenile|in early life|=a young one|unwrinkled young skin|=a teenager",
            "~old|~elderly|an old face|=an old person|~aged|=an elderly person|wrinkles|a wrinkled face|old age|"
            "~not young|~older|"
            "~old looking|=a senior|~middle aged|an aged face|wrinkled skin|=someone old|~ageing|a senior citizen|"
            "late in life|a person of great age|~grown old|~long past youth|~in old age|=a pensioner|"
            "=a granny or grandpa|a lined face",
            "~youthful looking|=a young human|a young looking face", "~advanced in years|=an aged person|"
            "an elderly face|a face full of wrinkles"),
)  # fmt: skip
