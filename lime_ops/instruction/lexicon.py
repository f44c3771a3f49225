"""The closed English word lists that `lime_ops.instruction` reads instructions with.

Only words whose class is closed (determiners, prepositions, auxiliaries ...) or whose job in an instruction is to
command are listed. Everything else, names and made-up words included, is content by default, so there is no list of
nouns. All entries are lower case with straight apostrophes.
"""


def word_set(text: str) -> frozenset[str]:
    return frozenset(text.split())


# --- function words ---------------------------------------------------------------------------------------------------

# Open a noun phrase: what follows one of these is a noun or adjective, whatever it looks like ("a saw", "the mine").
ARTICLES = word_set("a an the my your ur his her its our their")
# Point or count without naming. They open a noun phrase too, but may also stand alone ("make that in blue").
QUANTIFIERS = word_set(
    "this that these those some any all each every both either neither no another other others such same own few many "
    "much more most less least fewer several enough plenty whatever which whose various"
)
# Who gives or takes the order: after these the command itself may follow ("could you ...", "I would ...").
SPEAKERS = word_set("i you we u i'd i'll i'm i've you'd you'll you're you've we'd we'll we're we've")
# Stand for the thing, never name it. "one" is here because it does so far more often than it counts.
PRONOUNS = word_set(
    "me myself yourself he him himself she hers herself it itself us ourselves they them themselves theirs ours yours "
    "mine one ones who whom what there here something anything everything nothing someone anyone everyone somebody "
    "anybody everybody nobody none it's he's she's that's there's here's what's who's where's how's it'd it'll he'd "
    "he'll she'd she'll they'd they'll they're they've there'd that'd what'd"
)
# Relations. Words that are also adverbs or particles ("off", "up") behave alike here.
PREPOSITIONS = word_set(
    "of in on at by for with without w from to into onto over under above below behind beside besides between among "
    "amongst through across against along alongside around about after before during till toward towards upon within "
    "inside outside near nearby using off out up down past per via than as like unlike except beneath underneath amid "
    "amidst atop throughout minus since despite including back away apart together forward backward"
)
# Join clauses or phrases; a new command may follow.
CONJUNCTIONS = word_set("and or but nor so then while whereas plus yet unless until once")
# Open a clause that has a subject of its own.
SUBORDINATORS = word_set("if whether when where why how because although though")
# Helping verbs and "be", and their contractions.
AUXILIARIES = word_set(
    "be am is are was were been being isn't aren't wasn't weren't ain't does did doesn't didn't don't dont can could "
    "cannot can't couldn't will would won't wouldn't shall should shouldn't may might must mustn't ought has had "
    "hasn't hadn't haven't not never needn't"
)
# Say how much, how surely, when or how carefully to edit; they name nothing. Other manner words stay ("brightly lit").
ADVERBS = word_set(
    "very really quite rather fairly too slightly somewhat extremely incredibly completely entirely totally fully "
    "absolutely partially partly mostly nearly almost exactly just only even still already again also else instead "
    "now ever always maybe perhaps possibly actually basically simply simultaneously immediately everywhere somewhere "
    "anywhere nowhere elsewhere however therefore thus overly truly definitely probably preferably ideally anymore "
    "otherwise afterwards finally lastly firstly secondly well subtly gradually noticeably drastically dramatically "
    "significantly considerably seamlessly naturally carefully properly correctly especially particularly cleanly "
    "smoothly uniformly accurately precisely realistically professionally appropriately proportionally meticulously "
    "faithfully convincingly harmoniously"
)
# Courtesy, anywhere; greeting and hesitation, only where nothing has been said yet ("Hi, ..." but "saying hello").
COURTESIES = word_set("please pls plz kindly thanks thank thx")
GREETINGS = word_set("hey hi hello ok okay yes yeah yep um uh hmm oh sorry alright")
# Link a thing to what it becomes and name neither. Nouns of the same spelling are told by the article before them.
LIGHT_VERBS = word_set(
    "look looks looking looked appear appears appearing appeared seem seems seeming become becomes becoming became "
    "wear wears wearing have having get gets getting got go goes going come comes coming turn turns turning feel "
    "feels stay stays remain remains start starts begin begins need needs want wants say says saying made taken let "
    "lets use show shows showing shown do replace replaces happen happens"
)
# Participles of pure editing verbs: "should be replaced" commands as "replace" does ("painted", "broken" describe).
EDIT_PARTICIPLES = word_set(
    "replaced changed turned removed swapped added converted transformed given put placed switched set deleted erased "
    "exchanged substituted moved inserted modified altered edited adjusted gone done replacing changing removing "
    "adding swapping converting transforming making adjusting giving putting"
)
# Two-word and longer turns of phrase whose words would count one by one.
_PHRASES = """
    instead of, in place of, rather than, in front of, on top of, next to, close to, as well as, as well, a lot of,
    a lot, a whole lot of, a whole lot, lots of, lots, a bit of, a bit, a little bit of, a little bit, a tiny bit, a
    few, kind of, sort of, get rid of, getting rid of, got rid of, made out of, made up of, the rest of, at all,
    right now, right next to, make sure, makes sure, making sure, be sure to, don't forget to, dont forget to, do not
    forget to, in place, as a whole, at the same
    time, be able to, in order to, for me, for us, no longer, of course, by the way, you mind, be possible to, is it
    possible to, you'd better, we'd better
"""
PHRASES = tuple(tuple(phrase.split()) for phrase in _PHRASES.split(","))

# --- commands ---------------------------------------------------------------------------------------------------------

# State a wish: a bare object is what is wanted, an order follows after "to".
WISHES = word_set(
    "want need like love prefer wish hope think believe guess feel wanna require expect mean wanted wondering hoping"
)
# Introduce another command directly ("try making", "help me add", "let's turn").
LEAD_INS = word_set("try trying help go let's lets suggest recommend consider mind start begin continue proceed gotta")
# Number the orders ("first, remove the car").
SEQUENCE = word_set("first second third next last now")
# Verbs that command wherever an order can stand, with or without an article after them.
COMMANDS = word_set(
    "add make replace remove change turn convert transform swap put give take get let have set delete erase place "
    "move insert create generate draw render show switch exchange substitute alter modify edit adjust increase "
    "decrease reduce enhance brighten darken lighten blur sharpen colorize colourize recolor recolour repaint redraw "
    "redo restyle resize rotate flip enlarge shrink widen lengthen shorten fill wrap hang attach throw pour drape "
    "bring keep leave apply include introduce append exclude eliminate shave untie hide reveal expose surround "
    "decorate equip furnish fix repair restore rejuvenate depict illustrate raise lift sit lay spread sprinkle "
    "scatter freeze melt smash destroy build construct reconstruct grow extend expand zoom tilt push pull carve "
    "engrave write rewrite rename translate stylize stylise reimagine imagine pretend see transport teleport morph "
    "mutate evolve rearrange reposition relocate simulate produce clothe soften strengthen thicken straighten unfold "
    "wipe scrub paste overlay superimpose blend merge combine separate emphasize accentuate exaggerate intensify "
    "simplify maintain preserve retain ensure adorn install pave upholster rip peel undress unbutton recast redesign "
    "reshape reset magnify establish coordinate capture select use opt denoise deblur unblur improve recover match "
    "relight retouch rebuild upscale outpaint inpaint desaturate invite embed incorporate integrate embellish refine "
    "invert translate italicize whiten relocate isolate extract transfer"
)
# Commands that as often open a noun phrase ("paint splatter ..."): with a bare object, the rest of the clause decides.
BARE_COMMANDS = word_set(
    "paint color colour dye tint cover crop cut plant dress frame mask trim stack drop lower burn position display "
    "stage design composite shift fold strip style sketch fade clean open close light water print roll tuck zip tidy "
    "scale highlight outline stretch bend curl braid bold mirror center centre flood polish splash pin stick groom "
    "shape"
)
# Start an object. Any word where an order may stand is a command before one of these ("zombify the teacher").
OBJECT_STARTERS = ARTICLES | word_set("it him them everyone everything someone something me us this these those")
# So do these after a known command; after an unknown word they may count it ("snow all over the field").
COUNTED_STARTERS = word_set("all every each some any both another that more many several")
# Orders that make their object do or be something: what follows the object is a verb ("make her look older").
CAUSATIVES = word_set("make let have get help watch see")
# After these an -ing form is an order ("how about adding", "by changing").
GERUND_OPENERS = word_set("about by mind of not without before after while for")
# Particles that follow an order at once ("and put on a hat").
PARTICLES = word_set("on off out up away in down back over")
# Commands that need no object in a list of them ("repair the scratches, denoise, ...").
INTRANSITIVES = word_set("denoise deblur unblur upscale colorize colourize sharpen brighten darken retouch")
# Function words after which an order may still follow if it could before.
TRANSPARENT = word_set("what how why who me us to myself")

# --- words with two readings ------------------------------------------------------------------------------------------

# Listed above, yet nouns after an article ("the can", "a retro look").
HOMOGRAPHS = word_set(
    "can will might must may being do mine well look looks feel wear turn start show use need wish want like go say "
    "back inside outside down up past over above off out under plus minus have love hope near"
)
# Before "of" always nouns.
OF_NOUNS = word_set("use look feel start show turn")
# Modal verbs that are nouns where nothing follows that they could help ("a soda can on the table").
MODALS = word_set("can will might must may")
# Light verbs that are nouns at the end of an open noun phrase ("a car show").
PHRASE_FINAL_NOUNS = word_set("look looks feel wear turn start show")
# Fixed pairs whose second word would count as a function word.
PAIRS = frozenset(
    {
        ("human", "being"),
        ("upside", "down"),
        ("close", "up"),
        ("pick", "up"),
        ("pop", "up"),
        ("built", "in"),
        ("letter", "a"),
        ("trash", "can"),
        ("garbage", "can"),
        ("watering", "can"),
        ("soda", "can"),
        ("beer", "can"),
        ("tin", "can"),
    }
)
# Names spelled like function words, told by their capital.
CAPITALISED = word_set("will may us it")
# Degree words that are also adjectives or nouns, told by the adjective after them ("pretty dark", "a pretty girl").
DEGREES = word_set("little pretty way far super")
# Praise that a wish is wrapped in ("it would look better with a hat"), what makes it a wish, and what follows.
PRAISE = word_set("better nice nicer great good cool cooler awesome best amazing lovely fun funny perfect interesting")
HYPOTHETICALS = word_set("would wouldn't it'd might could i'd that'd is")
PRAISE_FOLLOWERS = word_set("if with without in as to")
# Nouns that name the whole picture; after these prepositions they only say where everything is ("in the photo").
PICTURE_NOUNS = word_set("photo photos photograph picture pictures image images pic pics")
PICTURE_PREPOSITIONS = word_set("in from to within into on inside onto using")
PICTURE_PLURALS = word_set("photos pictures images pics")
# Which picture ("in the input image"), and nouns that a picture noun only describes ("in the picture frame").
PICTURE_MODIFIERS = word_set(
    "first second third fourth input reference original source provided uploaded given current attached whole entire "
    "product target"
)
PICTURE_COMPOUNDS = word_set("frame frames album albums booth gallery book books wall")
# Orders of purpose, light enough to name nothing ("to make it look festive").
PURPOSE_VERBS = word_set("make give let get create allow turn")
# Verbs that with an article only carry their noun ("take a bite", "gives a smile").
CARRIERS = word_set("take takes taking give gives giving make makes making put puts")
# Words that make quoted text literal, so that every quoted word is what it becomes (the sign says "Do not enter").
TEXT_CUES = word_set(
    "say says saying read reads reading text word words sign letter letters lettering caption title write written "
    "writing logo label slogan message font name named called inscription quote poster t-shirt shirt sentence phrase "
    "paragraph heading headline subtitle subheading wording translate"
)
# Common gradable adjectives, needed only where an adjective decides how its neighbour reads ("a little darker").
ADJECTIVES = word_set(
    "dark light bright pale deep big small large tall short long wide narrow thick thin old new young happy sad angry "
    "scary funny cute pretty ugly dirty clean dry wet hot cold warm cool soft hard sharp round flat smooth rough "
    "green blue red yellow pink purple orange brown black white gray grey heavy loud quiet calm wild strong weak rich "
    "poor fat slim shiny dull clear cloudy sunny rainy foggy snowy stormy windy messy tidy fancy plain simple modern "
    "vintage retro rustic overall general gothic futuristic casual formal elegant professional different similar "
    "realistic colorful colourful vivid cozy spooky fluffy curly straight high low close open far fast slow empty "
    "full fresh rusty stone wishing wooden ancient deserted abandoned brick tired serious"
)

# Nouns and adjectives that look like -ing forms and -ly adverbs.
ING_NOUNS = word_set(
    "clothing lighting painting building ring earring earrings string king wing ceiling thing anything everything "
    "nothing something lightning morning evening spring railing frosting icing piercing"
)
LY_NOUNS = word_set(
    "family butterfly ugly silly lovely friendly curly early belly jelly lily holly bully woolly wooly smelly prickly "
    "bubbly elderly lonely cuddly hilly"
)

# Every word that names nothing, where it is not a noun by its place.
FUNCTION_WORDS = (
    ARTICLES | QUANTIFIERS | SPEAKERS | PRONOUNS | PREPOSITIONS | CONJUNCTIONS | SUBORDINATORS | AUXILIARIES | ADVERBS
) | LIGHT_VERBS
