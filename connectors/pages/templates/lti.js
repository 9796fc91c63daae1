// Platform storage (1EdTech LTI OIDC Login with LTI Client Side postMessages 1.0), where a frame may keep no cookie.
"use strict";
function ask(data, message, done) {
  const parent = window.parent !== window ? window.parent : window.opener;
  const frame = data.frame === "_parent" ? parent : parent && parent.frames[data.frame];
  const id = crypto.randomUUID ? crypto.randomUUID() : String(Math.random());
  let over = false;
  const end = (value) => { if (!over) { over = true; done(value); } };
  window.addEventListener("message", (event) => {
    const told = event.data;
    if (event.origin === data.origin && told && told.message_id === id) end(told.value || "");
  });
  if (frame) frame.postMessage({ ...message, message_id: id, key: data.key }, data.origin);
  setTimeout(() => end(""), frame ? 3000 : 0);
}
const store = document.getElementById("store");
if (store) {
  const go = document.getElementById("go").href;
  ask(store.dataset, { subject: "lti.put_data", value: store.dataset.value }, () => { window.location = go; });
}
const recall = document.getElementById("recall");
if (recall) {
  ask(recall.dataset, { subject: "lti.get_data" }, (value) => { recall.elements.proof.value = value; recall.submit(); });
}
const send = document.getElementById("send");
if (send) send.submit();
if (document.getElementById("registered")) {
  (window.opener || window.parent).postMessage({ subject: "org.imsglobal.lti.close" }, "*");
}
