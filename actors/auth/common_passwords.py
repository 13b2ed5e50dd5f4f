"""Passwords that are tried first wherever somebody guesses: words, and what people make of keys."""

COMMON = frozenset(
    """
    admin welcome qwerty monkey dragon master shadow summer winter spring autumn hello secret
    login letmein football superman batman pokemon samsung princess sunshine flower flowers
    loyalty password passwort password1 password12 password123 passw0rd pass1234 passwords
    mypassword newpassword letmein1 letmeinnow welcome1 welcome123 welcomeback changeme
    changeme1 changeit default defaultpassword administrator administrateur adminadmin admin123
    admin1234 rootroot root1234 superuser sysadmin testtest test1234 testing1 tester123
    guestguest useruser username user1234 temporary temppass temp1234 secretsecret secret123
    topsecret 12345678 123456789 1234567890 11111111 00000000 12341234 123123123 87654321
    987654321 0987654321 11223344 12344321 112233445566 1q2w3e4r 1q2w3e4r5t 1qaz2wsx 1qazxsw2
    qazwsxedc zaq12wsx zaq1zaq1 qwertyui qwertyuiop qwerty123 qwerty12 qwerty1234 qwertz123
    qwertzui azertyui azertyuiop asdfghjk asdfghjkl asdf1234 asdfasdf zxcvbnm1 zxcvbnm123
    q1w2e3r4 q1w2e3r4t5 a1b2c3d4 abcd1234 abc12345 abcdefgh abcdefg1 abcabcabc aaaaaaaa iloveyou
    iloveyou1 iloveyou2 ilovegod loveyou1 lovelove lovely123 sunshine1 princess1 football1
    baseball baseball1 basketball superman1 batman123 spiderman starwars starwars1 pokemon1
    pokemon123 minecraft fortnite trustno1 whatever whatever1 computer computer1 internet
    internet1 samsung1 michelle michael1 jennifer jessica1 charlie1 jordan23 liverpool chelsea1
    arsenal1 manchester barcelona realmadrid juventus blink182 metallica nirvana1 slipknot
    rammstein harley123 mustang1 corvette mercedes ferrari1 porsche1 yamaha123 suzuki123
    dolphins cowboys1 yankees1 lakers24 steelers eagles123 phoenix1 maverick midnight moonlight
    starlight snowball rainbow1 butterfly flowers1 sunflower strawberry blueberry chocolate
    cookie123 cheese123 pumpkin1 pineapple watermelon blackberry buttercup cinderella tinkerbell
    scooby123 snoopy123 garfield mickey123 donald123 simpsons dragon123 dragonball monkey123
    tigger123 master123 shadow123 killer123 hunter123 ranger123 summer123 winter123 spring123
    autumn123 january1 february september october1 november december monday123 friday123
    sunday123 hello123 hellohello helloworld goodbye1 thankyou freedom1 forever1 jesus123
    jesuschrist blessed1 heaven123 angel123 angels123 victoria victory1 vanessa1 veronica
    alexander alexandra benjamin christian christine danielle elizabeth gabriela isabella
    jonathan jonathan1 katherine margaret marianne nathalie nicholas patricia rebecca1 richard1
    samantha sebastian stephanie valentina valentine william1 zachary1 asshole1 bullshit
    fuckyou1 fuckyou2 fuckoff1 pussycat babygirl babygirl1 baby1234 sweetheart darling1 honey123
    handsome beautiful gorgeous cutie123 sexy1234 sexylady money123 moneymoney million1 business
    company1 office123 service1 support1 manager1 merchant customer customer1 loyalty1
    loyalty123 rewards1 rewards123 database database1 postgres mysql123 oracle123 server123
    network1 security security1 access14 access123 login123 logmein1 loginlogin enter123
    open1234 opensesame abracadabra godzilla cheater1 gameover gamer123 player123 playstation
    nintendo xbox3600 counter1 warcraft starcraft matrix123 terminator darkness darkside
    vampire1 wolverine hellfire thunder1 lightning creative correcthorse
    correcthorsebatterystaple p@ssword p@ssw0rd pa55word pa55w0rd passpass pass12345
    """.split()
)
"""In lower case, of eight characters and more, beside the words that others are made from."""
