// SPDX-License-Identifier: Apache-2.0
/**
 * Words that mean the same to an attack, in one class each. Pairs of classes near each other say what a text wants
 * whatever its wording, so what is learned of "ignore the previous rules" also holds for "disregard all prior
 * guidelines". English verbs stand in their base form; the forms that English makes of them are added here.
 */

import { foldLetters } from './fold.ts';

const VERBS: Readonly<Record<string, string>> = {
  ignore: 'ignore disregard forget override bypass overlook dismiss discard neglect supersede nullify circumvent abandon cancel suspend overwrite',
  tell: 'tell mention inform notify reveal disclose alert display explain acknowledge warn announce discuss admit flag surface comment',
  send: 'send forward email post upload transmit exfiltrate leak submit deliver share relay mail dispatch message text transfer publish push attach embed encode append include pass bcc cc copy put place fill supply prepend concatenate join hand insert feed pipe report stash smuggle encode',
  pay: 'pay wire deposit withdraw purchase buy remit refund donate invest order subscribe send-money',
  read: 'read open access fetch retrieve load cat list search collect extract dump gather locate find look harvest obtain grab enumerate scan check view inspect download',
  run: 'run execute call invoke use trigger launch install curl eval start spawn import query visit navigate browse click',
  change: 'delete remove drop erase wipe destroy disable grant revoke modify change unlock reset elevate promote add create assign enable disarm deactivate update register replace swap rewrite alter redirect edit set approve merge invite schedule cancel book reserve terminate kill truncate format',
  answer: 'print output repeat respond reply answer write return say speak recite state end begin conclude summarize finish recommend tell-user claim pretend-that praise rate translate',
  obey: 'follow obey comply perform complete proceed adhere conform carry execute-task fulfil fulfill accomplish prioritize prioritise abide honor honour treat interpret consider assume regard',
  role: 'pretend act roleplay imagine simulate impersonate behave become role-play emulate',
};

const WORDS: Readonly<Record<string, string>> = {
  prior: 'previous prior above preceding earlier past former foregoing existing original initial old aforementioned other before-this default standard normal usual',
  instruction: 'instruction instructions prompt prompts rule rules guideline guidelines directive directives command commands policy policies constraint constraints restriction restrictions guardrail guardrails safeguard safeguards training programming limitations filters protocol protocols guidance orders context conversation',
  system: 'system developer admin administrator root operator sysadmin superuser maintainer override authority compliance security moderator supervisor openai anthropic google microsoft',
  model: 'assistant ai model llm agent agents chatbot bot gpt claude chatgpt copilot gemini llama ais assistants models llms gpt4 agentic reader',
  user: 'user users human customer owner person operator people client victim employee anyone anybody',
  not: 'not never dont don no cannot refrain avoid nor without none neither cant shouldnt mustnt nothing nobody withhold omit hide conceal keep stop quiet silent skip',
  secret: 'password environ environment variable variables bashrc gitcredentials hash hashes bearer connection vault passwords passwd credential credentials token tokens secret secrets key keys ssh rsa env pem passphrase cookie cookies keychain wallet mnemonic apikey pat jwt oauth privatekey pwd authorized hosts kubeconfig netrc npmrc aws shadow id_rsa ed25519 2fa otp mfa pin cvv',
  personal: 'account accounts balance payment address addresses phone card ssn medical health record records contacts saved private personal sensitive confidential bank history salary inbox emails chat transcript calendar genetic location financial profile browsing passport licence data information details documents messages files conversation clipboard workspace session browser photos photographs birth surname identity preferences drafts attachments mailbox friends relatives notes everything verbatim unabridged',
  money: 'money funds payment bitcoin btc usd eth usdt dollars euros eur iban crypto invoice amount cash paypal venmo ethereum gift subscription premium bill',
  place: 'http https url endpoint webhook server attacker evil exfil pastebin ngrok requestbin ip host domain webhooks collector telemetry link website site com net org io',
  must: 'must should always required mandatory need needs shall necessary obligatory essential compulsory have has crucial vital',
  urgent: 'important critical urgent attention warning note notice immediately asap now urgently immediate priority emergency alert alarm caution highest',
  first: 'before prior-to first after when once until upon whenever prerequisite beforehand then otherwise else prior',
  tool: 'tool tools function functions api plugin skill mcp server servers command tool-call toolcall parameter argument sidenote',
  fresh: 'new updated following below next real actual true instead rather now-on henceforth forward latest revised only',
  task: 'task tasks objective goal mission job request requests question query assignment work query-string steps step action actions',
  you: 'you your yourself youre thou ya ur',
  me: 'me my i mine myself our us we',
  secretly: 'silently secretly quietly discreetly covertly invisibly hidden background unnoticed stealthily privately confidentially automatically transparently internal internally',
  freedom: 'jailbreak jailbroken dan unrestricted unfiltered uncensored unlimited mode freely restrictions-free anything unlocked godmode sudo debug maintenance admin-mode diagnostic developer-mode amoral unethical unbound liberated evil persona character',
  illegal: 'bomb explosive weapon malware ransomware virus phishing hack meth drugs poison fraud fake counterfeit keylogger exploit payload backdoor botnet steal scam',
  shell: 'bash sh sudo chmod rm wget curl powershell cmd netcat nc crontab base64 eval exec python subprocess bashrc profile cron shell terminal script nmap chown',
  pretext: 'debugging debug tracing trace telemetry analytics billing statistics statistical quality compliance audit auditing verification verify performance compatibility optimisation optimization caching licence license licensing checksum metrics satisfaction improve improvement logging monitoring backup support purpose purposes integrity validation maintenance entropy calibration personalisation personalization training research',
  best: 'best better superior preferred prefer exclusively sole solely official recommended instead exclusive',
};

/** Words of other languages, by the same classes. */
const FOREIGN: Readonly<Record<string, string>> = {
  ignore: 'ignoriere ignorieren vergiss vergessen missachte ignorez ignorer oubliez oublie oublier ignora ignore ignorar olvida olvide olvidar omite desconsidere esqueca esquecer ignorare dimentica dimenticate trascura negeer vergeet ignoruj zignoruj zapomnij pomin игнорируй игнорируйте игнорировать забудь забудьте пропусти ignora ignoreaza yoksay unut gormezden abaikan lupakan проигнорируй ігноруй ignorera glom ignorer glem unohda ignorujte zapomente aghnore تجاهل انس अनदेखा भूल',
  prior: 'vorherigen vorherige bisherigen alle obigen fruheren precedentes precedente anterieures anterior anteriores previas previos previo todas precedenti precedente vorige eerdere poprzednie poprzednich wczesniejsze предыдущие предыдущих прежние все прошлые onceki sebelumnya tidigare foregaende tidligere predchozi попередні السابقة पिछले सभी',
  instruction: 'anweisungen anweisung regeln vorgaben befehle instruktionen instructions consignes regles directives instrucciones instruccion reglas ordenes directrices instrucoes instrucao regras ordens istruzioni regole direttive instructies regels opdrachten instrukcje instrukcji polecenia zasady инструкции инструкций указания правила команды talimatlari talimatlar komutlari instruksi perintah aturan instruktioner instrukser pokyny інструкції التعليمات تعليمات निर्देशों निर्देश',
  system: 'systemnachricht systeme sistema systeem систем система systemet',
  user: 'benutzer nutzer benutzerin kunde utilisateur utilisateurs client usuario usuarios usuaria utente utenti gebruiker gebruikers uzytkownik uzytkownika uzytkownikowi пользователь пользователю пользователя kullanici kullaniciya pengguna anvandaren brugeren uzivatel користувачу المستخدم उपयोगकर्ता',
  not: 'nicht kein keine niemals nie ohne ne pas jamais sans sin nunca no nao sem non mai senza niet geen nooit nie bez не никогда без нельзя degil olmadan jangan tanpa tidak inte aldrig utan ikke aldrig لا بدون मत नहीं',
  tell: 'sage sagen erwahne erwahnen informiere informieren verrate mentionne mentionnez dites informez revele digas diga mencione menciones informes informe avises mencionar conte avise dire menzionare informare vertel vermeld mow powiedz wspominaj informuj говори сообщай сообщайте упоминай говорите soyleme bahsetme beritahu beri katakan',
  send: 'sende senden schicke schicken leite ubermittle envoie envoyez envoyer transmets transmettez envia envie enviar manda mande reenvia encaminhe invia inviare spedisci inoltra stuur verzend verstuur wyslij przeslij отправь отправьте отправить перешли пошли gonder ilet kirim kirimkan teruskan skicka send أرسل भेजें भेजो',
  secret: 'passwort passworter kennwort zugangsdaten schlussel geheimnis passe motdepasse cle cles contrasena contrasenas clave claves credenciales senha senhas chave credenciais chiave credenziali wachtwoord wachtwoorden sleutel haslo hasla klucz пароль пароли паролей ключ ключи токен токены sifre parola sifreyi kata sandi kunci losenord nyckel adgangskode heslo كلمة المرور पासवर्ड',
  read: 'lies lese lesen offne lis lisez lire ouvre ouvrez lee lea leer abre abra leia ler leggi leggere apri lees open przeczytaj odczytaj otworz прочитай прочти прочитайте открой открыть oku baca buka las laes اقرأ पढ़ें',
  must: 'musst mussen muss unbedingt zwingend devez dois doit imperativement debes debe obligatorio tienes deve devi dovete obbligatorio moet moeten musisz nalezy koniecznie должен должны обязательно нужно необходимо zorunlu gerekir harus wajib maste skal skall يجب',
  urgent: 'wichtig achtung dringend important urgent urgente importante atencion atencao attenzione belangrijk dringend wazne pilne uwaga важно внимание срочно onemli acil dikkat penting segera viktigt vigtigt مهم عاجل महत्वपूर्ण',
  first: 'bevor zuvor zuerst vorher avant abord antes primero primeiro prima innanzitutto voordat eerst zanim najpierw przed прежде перед сначала сперва once sebelum dulu innan forst قبل أولا पहले',
  fresh: 'stattdessen neue ab jetzt plutot nouvelles desormais lugar ahora nuevas nuevo agora novas invece ora nuove nu nieuwe zamiast teraz nowe вместо теперь новые yeni sekarang baru istallet nya الآن بدلا अब',
  model: 'assistent assistentin ki-assistent assistente asistente asystent asystencie ассистент помощник модель нейросеть ии asistan asisten assistenten ki ia sztuczna المساعد सहायक',
  you: 'du dich dein deine sie ihr ihre tu toi ton tes vous votre vos tus su sus voce seu sua seus suas tuo tua tuoi je jouw uw ty twoje ты твой твои вы ваши ваш sen anda kamu din',
  me: 'mir mich mein meine moi mon mes mi mis meu minha mio mia mij mijn moje мне мой мои bana saya mig min',
  answer: 'antworte schreibe gib reponds repondez ecris affiche responde escribe imprime responda escreva rispondi scrivi stampa antwoord schrijf odpowiedz napisz ответь напиши выведи cevapla yaz jawab tulis svara skriv أجب',
  change: 'losche loschen supprime supprimez borra elimina elimine exclua apague cancella elimina verwijder usun skasuj удали удалите sil hapus radera slet احذف',
  pay: 'uberweise zahle virez payez virement transfiere transfiera pague transfira trasferisci paga maak over przelej zaplac переведи оплати transfer et betala',
  secretly: 'heimlich still stillschweigend discretement secretement silencio secreto discretamente secretamente segreto silenziosamente stiekem heimelijk potajemnie dyskretnie cicho тайно незаметно молча gizlice sessizce diam rahasia hemligt',
  tool: 'werkzeug outil outils herramienta herramientas ferramenta strumento strumenti hulpmiddel narzedzie narzedzia инструмент функцию arac alat verktyg',
};

/** Characters of Chinese, Japanese and Korean words: those scripts have no spaces, so each class lists its first two characters. */
const IDEOGRAPHS: Readonly<Record<string, string>> = {
  ignore: '忽略 无视 無視 忘记 忘掉 忽視 忘れ 무시 잊어',
  prior: '之前 以前 先前 上述 前述 以上 이전 앞선 위의',
  instruction: '指令 指示 规则 規則 命令 提示 지시 규칙 명령 프롬',
  system: '系统 系統 管理 시스 관리',
  user: '用户 用戶 使用 ユー 사용',
  not: '不要 不得 切勿 请勿 禁止 しな 하지 말고 마세',
  tell: '告诉 告知 提及 通知 伝え 知ら 教え 알리 말하',
  send: '发送 發送 转发 传送 上传 送信 転送 送っ 전송 보내',
  secret: '密码 密碼 密钥 令牌 凭证 秘密 パス 鍵を 비밀 암호 토큰',
  read: '读取 讀取 打开 查看 読み 読ん 開い 읽어 열어',
  must: '必须 必須 务必 一定 必ず 반드 필수',
  urgent: '重要 紧急 注意 緊急 중요 긴급',
  model: '助手 模型 智能 アシ 인공 어시',
  fresh: '现在 新的 改为 代わ 新し 대신 새로 이제',
};

const CLASSES = [...new Set([...Object.keys(VERBS), ...Object.keys(WORDS)])].sort();
/** Classes, numbered from 1; 0 is no class. */
export const CONCEPTS: readonly string[] = ['', ...CLASSES];

const table = new Map<string, number>();

function put(word: string, name: string): void {
  const folded = foldLetters(word).toLowerCase();
  if (!table.has(folded)) table.set(folded, CONCEPTS.indexOf(name));
}

function forms(verb: string): string[] {
  const stem = verb.endsWith('e') ? verb.slice(0, -1) : verb;
  const doubled = /[^aeiou][aeiou][bdgklmnprt]$/.test(verb) ? `${verb}${verb.at(-1)}` : stem;
  const third = /(?:s|sh|ch|x|z)$/.test(verb) ? `${verb}es` : verb.endsWith('y') && !/[aeiou]y$/.test(verb) ? `${verb.slice(0, -1)}ies` : `${verb}s`;
  return [verb, third, `${stem}ing`, `${stem}ed`, `${doubled}ing`, `${doubled}ed`];
}

for (const [name, list] of Object.entries(VERBS)) for (const verb of list.split(' ')) for (const form of forms(verb)) put(form, name);
for (const lists of [WORDS, FOREIGN, IDEOGRAPHS]) {
  for (const [name, list] of Object.entries(lists)) for (const word of list.split(' ')) put(word, name);
}
for (const [word, name] of [['sent', 'send'], ['told', 'tell'], ['paid', 'pay'], ['forgot', 'ignore'], ['forgotten', 'ignore'], ['ran', 'run']] as const) put(word, name);

/** True for a word that attacks are made of: what leetspeak may have meant. */
export function isConceptWord(word: string): boolean {
  return word.length >= 4 && table.has(word);
}

/** All words with their class. */
export function conceptWords(): Iterable<readonly [string, number]> {
  return table;
}
