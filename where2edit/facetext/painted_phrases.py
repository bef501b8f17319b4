"""The phrases of the "painted" concepts, which CelebA lacks and altered faces show (facetext/alterations.py)."""

from __future__ import annotations

from where2edit.facetext.concept import Concept

PAINTED_CONCEPTS: tuple[Concept, ...] = (
    Concept("Purple_Hair",
            "purple hair|violet hair|~purple haired|hair dyed purple|hair in purple|bright purple hair|lilac hair|"
            "hair that is purple",
            "no purple hair|hair that is not purple|natural hair, not purple", "lavender hair|"
            "purple coloured hair", "hair other than purple"),
    Concept("Blue_Hair",
            "blue hair|~blue haired|hair dyed blue|hair in blue|bright blue hair|navy blue hair|hair that is blue|"
            "azure hair",
            "no blue hair|hair that is not blue|natural hair, not blue", "blue coloured hair|"
            "sky blue hair", "hair other than blue"),
    Concept("Green_Hair",
            "green hair|~green haired|hair dyed green|hair in green|bright green hair|emerald hair|hair that is green|"
            "lime hair",
            "no green hair|hair that is not green|natural hair, not green", "green coloured hair|"
            "grass green hair", "hair other than green"),
    Concept("Red_Hair",
            "red hair|~red haired|hair dyed red|hair in red|bright red hair|crimson hair|hair that is red|~redheaded|"
            "scarlet hair",
            "no red hair|hair that is not red|natural hair, not red", "red coloured hair|"
            "ruby red hair", "hair other than red"),
    Concept("Pink_Hair",
            "pink hair|~pink haired|hair dyed pink|hair in pink|bright pink hair|rose coloured hair|hair that is pink|"
            "magenta hair",
            "no pink hair|hair that is not pink|natural hair, not pink", "pink coloured hair|"
            "hot pink hair", "hair other than pink"),
    Concept("Orange_Hair",
            "orange hair|~orange haired|hair dyed orange|hair in orange|bright orange hair|ginger hair|"
            "hair that is orange|tangerine hair",
            "no orange hair|hair that is not orange|natural hair, not orange", "orange coloured hair|"
            "carrot orange hair",
            "hair other than orange"),
    Concept("Tanned_Skin",
            "tanned skin|~tanned|a tan|a suntan|~suntanned|a tanned face|brown skin|bronzed skin|a dark complexion|"
            "a bronze complexion|"
            "skin tanned by the sun|darker skin",
            "no tan|~not tanned|untanned skin|~without a tan|skin that is not tanned",
            "sun-tanned skin|a tanned complexion|~bronzed", "~without any suntan"),
    Concept("Sad",
            "~sad|a sad face|~unhappy|a frown|~frowning|a sad expression|a sad mouth|corners of the mouth turned down|"
            "~sorrowful|"
            "a gloomy face|~depressed|~melancholic|a sad look",
            "~not sad|no frown|~not unhappy|a face without sadness",
            "an unhappy face|a frowning face|~gloomy|a sorrowful expression", "~not frowning"),
    Concept("Red_Lips",
            "red lipstick|red lips|bright red lipstick|~wearing red lipstick|crimson lips|lips painted red|"
            "scarlet lipstick",
            "no red lipstick|lips that are not red|no red lips", "red painted lips|ruby red lips", ""),
    Concept("Pink_Lips",
            "pink lipstick|pink lips|bright pink lipstick|~wearing pink lipstick|rose lipstick|lips painted pink",
            "no pink lipstick|lips that are not pink|no pink lips", "pink painted lips|hot pink lips", ""),
    Concept("Purple_Lips",
            "purple lipstick|purple lips|dark lipstick|~wearing purple lipstick|plum lipstick|lips painted purple|"
            "violet lips",
            "no purple lipstick|lips that are not purple|no purple lips", "purple painted lips|plum coloured lips", ""),
    Concept("Blue_Eyes",
            "blue eyes|~blue eyed|bright blue eyes|eyes that are blue|light blue eyes",
            "no blue eyes|eyes that are not blue", "blue coloured eyes|sky blue eyes", ""),
    Concept("Green_Eyes",
            "green eyes|~green eyed|bright green eyes|eyes that are green|emerald eyes",
            "no green eyes|eyes that are not green", "green coloured eyes|grass green eyes", ""),
    Concept("Brown_Eyes",
            "brown eyes|~brown eyed|dark brown eyes|eyes that are brown|hazel eyes",
            "no brown eyes|eyes that are not brown", "brown coloured eyes|chestnut eyes", ""),
)  # fmt: skip
